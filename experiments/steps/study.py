"""One diffusion model, sampled in few steps and in many."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.lab import trained as lab
from experiments.lab.command import Settings, Study
from experiments.lab.entries import entries
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.sweep import Outcome, Run, StudyError
from experiments.lab.trained import BATCH
from experiments.steps import figures, rule
from experiments.steps.measure import Samples, sample
from genzoo.diffusion.sampling import Sampling
from genzoo.metrics.real import extract


def plan(settings: Settings) -> list[Run]:
    """One training."""
    overrides = (*settings["shared"], *settings["overrides"])
    return [Run("diffusion", overrides, tuple(settings["stages"]))]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Sample with every sampler and number of steps, measure, apply the rule."""
    (outcome,) = outcomes
    if outcome.broken:
        raise StudyError(f"training broke down: {outcome.broken}")
    trained = lab.load(outcome.last.folder)
    real, extractor = lab.real(trained, settings["extractor"])
    found: dict[str, list[Samples]] = {name: [] for name in settings["samplers"]}
    for name in settings["samplers"]:
        for steps in settings["steps"]:
            print(f"  {name}, {steps} steps", flush=True)
            trained.model.sampler = Sampling(name, steps=steps)
            taken, seconds = sample(trained, count=settings["images"])
            features = extract(taken.split(BATCH), extractor)
            metrics = entries(
                trained, real, features, extractor, sampler=str(trained.model.sampler)
            )
            found[name].append(Samples(name, steps, taken, seconds, metrics))
    points = {name: [own.point for own in own_samples] for name, own_samples in found.items()}
    everything = [own for own_samples in found.values() for own in own_samples]
    return Findings(
        rule.verdict(points),
        [_table(everything)],
        {"drawn": [_numbers(own) for own in everything]},
        {
            "picture.png": partial(figures.samples, found),
            "curves.png": partial(figures.curves, points),
        },
    )


def _numbers(own: Samples) -> dict[str, Any]:
    return {
        "sampler": own.sampler,
        "steps": own.steps,
        "seconds_per_image": own.seconds,
        "metrics": own.metrics,
    }


def _table(everything: Sequence[Samples]) -> Table:
    heads = ["sampler", "steps", "Fréchet distance", "KID", "precision", "recall", "ms an image"]
    columns = ("frechet_distance", "kernel_distance", "precision", "recall")
    rows = [
        [
            own.sampler,
            str(own.steps),
            *(shown(float(own.metrics[name]["value"])) for name in columns),
            shown(1000 * own.seconds),
        ]
        for own in everything
    ]
    note = (
        "Against all training images; every sampler starts from the same noise. *heun* evaluates "
        "the network twice a step, the others once. Times are those of the machine below, in "
        f"batches of {BATCH}."
    )
    return Table("Samples by sampler and steps", heads, rows, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
