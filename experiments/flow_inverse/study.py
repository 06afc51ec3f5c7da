"""Reconstruction by a flow before, during and after training, beside autoencoder and VAE."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.flow_inverse import figures, rule
from experiments.flow_inverse.measure import Trip, precisions, trip
from experiments.lab import trained as lab
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.sweep import Outcome, Run, StudyError

SEED = 0
FLOW = "flow"


def plan(settings: Settings) -> list[Run]:
    """Every family, measured at the same points of its training."""
    return [
        Run(
            name,
            (
                *own, *settings["shared"], *settings["overrides"], *settings["sizes"][name],
                f"seed={SEED}",
            ),
            tuple(settings["stages"]),
        )
        for name, own in settings["models"].items()
    ]  # fmt: skip


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Reconstruct images at every stage; apply the rule, and plot the last one."""
    rows: list[dict[str, Any]] = []
    trips: dict[str, Trip] = {}
    for name, outcome in zip(settings["models"], outcomes, strict=True):
        if outcome.broken:
            raise StudyError(f"{name} broke down: {outcome.broken}")
        for stage, record in enumerate(outcome.records):
            images = outcome.run.stages[stage]
            print(f"  {name} after {images:,} images, reconstruction", flush=True)
            trained = lab.load(record.folder)
            trips[name] = trip(trained, count=settings["images"])
            rows.append(
                {
                    "model": name,
                    "images": images,
                    **trips[name].numbers(),
                    "map": precisions(trained, count=settings["images"]) if name == FLOW else {},
                    "distance": outcome.metric(settings["metric"], stage),
                    "bits_per_dim": outcome.metric("bits_per_dim", stage),
                    "stamp": _stamp(trained, settings),
                }
            )
    verdict = rule.verdict(
        [_stage(row) for row in rows if row["model"] == FLOW],
        {
            row["model"]: row["identical"]
            for row in rows
            if row["model"] != FLOW and row["images"] == settings["stages"][-1]
        },
    )
    return Findings(
        verdict,
        [_table(rows, settings)],
        {"trips": rows},
        {
            "picture.png": partial(figures.images, trips, outcomes),
            "errors.png": partial(figures.errors, rows),
        },
    )


def _stage(row: dict[str, Any]) -> rule.Stage:
    return rule.Stage(row["images"], row["largest"], row["identical"], row["distance"])


def _stamp(trained: lab.LoadedModel, settings: Settings) -> dict[str, Any]:
    return {
        "split": "validation",
        "images": min(settings["images"], trained.data.splits["validation"]),
        "range": "[-1, 1]",
        "precision": "float32",
        "data": trained.data.name,
        "data_fingerprint": trained.data.fingerprint,
        "image_size": trained.data.image_size,
        "ema": True,
    }


def _table(rows: Sequence[dict[str, Any]], settings: Settings) -> Table:
    heads = [
        "model", "images seen", "largest error", "mean error", "8-bit values unchanged",
        "bare map, float32", "bare map, float64", "Fréchet distance of samples", "bits per dim",
    ]  # fmt: skip
    lines = [
        [
            row["model"],
            f"{row['images']:,}",
            f"{row['largest']:.2e}",
            f"{row['mean']:.2e}",
            f"{row['identical']:.4%}",
            *(f"{row['map'][k]:.1e}" if row["map"] else shown(None) for k in PRECISIONS),
            shown(row["distance"]),
            shown(row["bits_per_dim"]),
        ]
        for row in rows
    ]
    note = (
        "Errors are those of held-out images in the range [-1, 1], where a grey level is 7.8e-03 "
        "wide. The bare map is the flow's, given captions, without the rounding to grey levels "
        f"and back; the largest error. Samples are measured by `{settings['metric']}`."
    )
    return Table("Held-out images, reconstructed", heads, lines, note)


PRECISIONS = ("float32", "float64")
STUDY = Study(Path(__file__).parent, plan, analyse)
