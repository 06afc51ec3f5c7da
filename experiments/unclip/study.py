"""GLIDE and unCLIP of the same size, over the scales of guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.lab import trained as lab
from experiments.lab.clip import ClipEvaluator
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, over_seeds
from experiments.lab.sweep import Outcome, Run, StudyError
from experiments.unclip import figures, rule
from experiments.unclip.measure import Samples, measure
from genzoo.diffusion.sampling import Sampling

MODELS = ("glide", "unclip")


def plan(settings: Settings) -> list[Run]:
    """CLIP and GLIDE at once, then unCLIP on that CLIP, and a CLIP for evaluation alone."""
    common = (*settings["shared"], *settings["overrides"])

    def run(name: str, model: str, *own: str, after: Mapping[str, str] | None = None) -> Run:
        overrides = (f"model={model}", *common, *settings[model], *own)
        return Run(name, overrides, tuple(settings["stages"][name]), after=after or {})

    return [
        run("clip", "clip", "seed=0"),
        run("glide", "glide", "seed=0"),
        run("unclip", "unclip", "seed=0", after={"clip": "clip"}),
        run("judge", "clip", "seed=1"),
    ]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Sample with both models at every scale, measure, apply the rule."""
    for outcome in outcomes:
        if outcome.broken:
            raise StudyError(f"{outcome.run.name} broke down: {outcome.broken}")
    runs = {outcome.run.name: outcome for outcome in outcomes}
    everything: list[Samples] = []
    for name in MODELS:
        trained = lab.load(runs[name].last.folder)
        trained.model.sampler = Sampling("ddim", steps=settings["steps"])
        real, extractor = lab.real(trained, settings["extractor"], settings["real_images"])
        clip = ClipEvaluator.of(trained, runs["judge"])
        for scale in settings["guidance"]:
            for seed in settings["seeds"]:
                print(f"  {name} at {scale:g}, seed {seed}", flush=True)
                measured = partial(measure, name, trained, real, extractor, clip)
                everything.append(measured(scale, seed, settings))
    pairs = [
        rule.Pair(scale, *(_point(everything, name, scale) for name in MODELS))
        for scale in settings["guidance"]
    ]
    return Findings(
        rule.verdict(pairs),
        [_table(everything, settings, real=len(real))],
        {"drawn": [_numbers(own) for own in everything]},
        {
            "picture.png": partial(figures.samples, everything),
            "curves.png": partial(figures.curves, everything),
        },
    )


def _point(everything: Sequence[Samples], name: str, scale: float) -> rule.Point:
    own = [one for one in everything if (one.model, one.scale) == (name, scale)]
    return rule.Point(
        [one.value("frechet_distance") for one in own],
        [one.value("recall") for one in own],
        [one.spread for one in own],
    )


def _numbers(own: Samples) -> dict[str, Any]:
    return {
        "model": own.model,
        "scale": own.scale,
        "seed": own.seed,
        "metrics": own.metrics,
        "spread": own.spread,
    }


def _table(everything: Sequence[Samples], settings: Settings, *, real: int) -> Table:
    columns = {
        "frechet_distance": "Fréchet distance",
        "precision": "precision",
        "recall": "recall",
        "kernel_distance": "KID",
        "clip_score": "CLIP score",
        "r_precision": "R-precision",
    }
    rows = []
    for name in MODELS:
        for scale in settings["guidance"]:
            own = [one for one in everything if (one.model, one.scale) == (name, scale)]
            rows.append(
                [
                    name,
                    f"{scale:g}",
                    *(over_seeds([one.value(metric) for one in own]) for metric in columns),
                    over_seeds([one.spread for one in own]),
                ]
            )
    seeds = ", ".join(map(str, settings["seeds"]))
    note = (
        f"{settings['images']} samples for held-out captions against {real:,} training images; "
        f"ddim with {settings['steps']} steps; means over sampling seeds {seeds}, in "
        f"brackets the values. *Spread*: mean distance of {settings['draws']} samples of a "
        "caption in features, as a share of that of any two real images. *R-precision*: the "
        "share of samples whose own caption fits them best among all captions, by a CLIP that no "
        "model was built on, as the CLIP score is."
    )
    heads = ["model", "guidance", *columns.values(), "spread"]
    return Table("GLIDE and unCLIP by the scale of guidance", heads, rows, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
