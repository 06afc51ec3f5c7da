"""GLIDE replaces one of two things in rendered scenes by inpainting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.inpainting import figures, rule
from experiments.inpainting.measure import Inpainted, inpaint, tasks
from experiments.lab import trained as lab
from experiments.lab.caption_scores import ATTRIBUTES, stamp
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.sweep import Outcome, Run, StudyError

COLUMNS = (*ATTRIBUTES, "count", "all")


def plan(settings: Settings) -> list[Run]:
    """One training."""
    overrides = (*settings["shared"], *settings["overrides"])
    return [Run("glide", overrides, tuple(settings["stages"]))]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Inpaint at every stage, and score the images."""
    (outcome,) = outcomes
    if outcome.broken:
        raise StudyError(f"training broke down: {outcome.broken}")
    rows: list[dict[str, Any]] = []
    for stage, record in enumerate(outcome.records):
        images = outcome.run.stages[stage]
        print(f"  inpainting after {images:,} images", flush=True)
        trained = lab.load(record.folder)
        size, seed = trained.data.image_size, int(trained.cfg.seed)
        work = tasks(settings["images"], size=size, seed=seed)
        for scale in settings["guidance"]:
            last = inpaint(trained, work, scale=scale)
            rows.append(_row(images, scale, last, trained))
    return Findings(
        rule.verdict(last.scores, last.edges),
        [_table(rows)],
        {"redrawn": rows},
        {"picture.png": partial(figures.inpainted, work, last)},
    )


def _row(images: int, scale: float, of: Inpainted, trained: lab.LoadedModel) -> dict[str, Any]:
    return {
        "images": images,
        "scale": scale,
        "right": of.scores.right,
        "shuffled": of.scores.chance,
        "parts": of.scores.own,
        "changed": of.edges.changed,
        "seam": of.edges.seam,
        "seam_before": of.edges.seam_before,
        "stamp": stamp(trained, len(of.images)),
    }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    heads = [
        "images seen", "guidance", "values changed outside", "attributes", *COLUMNS, "shuffled",
        "seam", "seam before",
    ]  # fmt: skip
    lines = [
        [
            f"{row['images']:,}",
            shown(row["scale"]),
            f"{row['changed']:,}",
            f"{row['right']:.1%}",
            *(f"{row['parts'][part]:.1%}" for part in COLUMNS),
            f"{row['shuffled']:.1%}",
            shown(row["seam"]),
            shown(row["seam_before"]),
        ]
        for row in rows
    ]
    note = (
        "Shares of images that agree with the new captions, measured from the pixels. "
        f"*Attributes* is the mean of {', '.join(ATTRIBUTES)}, *shuffled* the same with the "
        "captions shuffled among the images. *Seam* is the mean difference of "
        "neighbouring pixels across the edge of the mask, in grey levels."
    )
    return Table("Images with one half inpainted", heads, lines, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
