"""GLIDE redraws one of two things in drawn scenes as another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.inpainting import picture, rule
from experiments.inpainting.measure import Redrawn, redraw, tasks
from experiments.lab import trained as lab
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.judged import ATTRIBUTES, stamp
from experiments.lab.sweep import Outcome, Run, StudyError

COLUMNS = (*ATTRIBUTES, "count", "all")


def plan(settings: Settings) -> list[Run]:
    """One training."""
    overrides = (*settings["shared"], *settings["overrides"])
    return [Run("glide", overrides, tuple(settings["stages"]))]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Redraw at every stage, and judge the pictures."""
    (outcome,) = outcomes
    if outcome.broken:
        raise StudyError(f"training broke down: {outcome.broken}")
    rows: list[dict[str, Any]] = []
    for stage, record in enumerate(outcome.records):
        images = outcome.run.stages[stage]
        print(f"  redrawing after {images:,} images", flush=True)
        trained = lab.load(record.folder)
        size, seed = trained.data.image_size, int(trained.cfg.seed)
        work = tasks(settings["images"], size=size, seed=seed)
        for scale in settings["guidance"]:
            last = redraw(trained, work, scale=scale)
            rows.append(_row(images, scale, last, trained))
    return Findings(
        rule.verdict(last.judged, last.edges),
        [_table(rows)],
        {"redrawn": rows},
        {"picture.png": partial(picture.redrawn, work, last)},
    )


def _row(images: int, scale: float, of: Redrawn, trained: lab.LoadedModel) -> dict[str, Any]:
    return {
        "images": images,
        "scale": scale,
        "right": of.judged.right,
        "shuffled": of.judged.chance,
        "parts": of.judged.own,
        "changed": of.edges.changed,
        "seam": of.edges.seam,
        "seam_before": of.edges.seam_before,
        "stamp": stamp(trained, len(of.pictures)),
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
        "Shares of pictures that show what the new captions say, judged from the pixels. "
        f"*Attributes* is the mean of {', '.join(ATTRIBUTES)}, *shuffled* the same with the "
        "pictures held against each other's captions. *Seam* is the mean difference of "
        "neighbouring pixels across the edge of the redrawn part, in grey levels."
    )
    return Table("Pictures with one half redrawn", heads, lines, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
