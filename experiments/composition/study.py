"""GLIDE on rendered scenes, with some combinations of colour and shape held out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.composition import figures, rule
from experiments.composition.measure import Samples, real, sample
from experiments.lab import trained as lab
from experiments.lab.caption_scores import ATTRIBUTES, stamp
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.sweep import Outcome, Run, StudyError

SEEN, UNSEEN = "validation", "held_out"
WORDS = {SEEN: "combinations seen in training", UNSEEN: "combinations held out"}
COLUMNS = (*ATTRIBUTES, "count", "all")


def plan(settings: Settings) -> list[Run]:
    """One training."""
    kept = f"data.source.held_out=[{','.join(settings['held_out'])}]"
    overrides = (*settings["shared"], *settings["overrides"], kept)
    return [Run("glide", overrides, tuple(settings["stages"]))]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Sample from captions of both kinds at every stage, and score the samples."""
    (outcome,) = outcomes
    if outcome.broken:
        raise StudyError(f"training broke down: {outcome.broken}")
    rows: list[dict[str, Any]] = []
    last: dict[str, Samples] = {}
    count = settings["images"]
    for stage, record in enumerate(outcome.records):
        images = outcome.run.stages[stage]
        print(f"  sampling after {images:,} images", flush=True)
        trained = lab.load(record.folder)
        for split in WORDS:
            if not stage:
                rows.append(_row(None, None, split, real(trained, split, count=count), trained))
            for scale in settings["guidance"]:
                last[split] = sample(trained, split, count=count, scale=scale)
                rows.append(_row(images, scale, split, last[split], trained))
    return Findings(
        rule.verdict(last[SEEN].scores, last[UNSEEN].scores),
        [_table(rows)],
        {"drawn": rows},
        {
            "picture.png": partial(figures.samples, {WORDS[k]: v for k, v in last.items()}),
            "accuracy.png": partial(figures.accuracy, rows, WORDS),
        },
    )


def _row(
    images: int | None, scale: float | None, split: str, of: Samples, trained: lab.LoadedModel
) -> dict[str, Any]:
    return {
        "images": images,
        "scale": scale,
        "split": split,
        "right": of.scores.right,
        "shuffled": of.scores.chance,
        "parts": of.scores.own,
        "parts_shuffled": of.scores.shuffled,
        "stamp": stamp(trained, len(of.images), sampled=scale is not None),
    }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    heads = ["images seen", "guidance", "captions with", "attributes", *COLUMNS, "shuffled"]
    lines = [
        [
            "the data's own images" if row["images"] is None else f"{row['images']:,}",
            shown(row["scale"]),
            WORDS[row["split"]],
            f"{row['right']:.1%}",
            *(f"{row['parts'][part]:.1%}" if part in row["parts"] else "n/a" for part in COLUMNS),
            f"{row['shuffled']:.1%}",
        ]
        for row in rows
    ]
    note = (
        "Shares of images that agree with their captions, measured from the pixels. "
        f"*Attributes* is the mean of {', '.join(ATTRIBUTES)}, *shuffled* the same with the "
        "captions shuffled among the images; *all* requires every part at once."
    )
    return Table("Images and their captions", heads, lines, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
