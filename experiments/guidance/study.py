"""One diffusion model under three kinds of guidance, over their scales: GLIDE's figure 6."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.guidance import figures, measure, rule
from experiments.guidance.measure import OFF, Samples
from experiments.lab import trained as lab
from experiments.lab.clip import ClipEvaluator
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, over_seeds, shown
from experiments.lab.sweep import Outcome, Run, StudyError
from genzoo.diffusion.sampling import Sampling

DIFFUSION, CLASSIFIER, GUIDE, EVALUATOR = "diffusion", "classifier", "clip", "judge"
NEEDS = {rule.FREE: None, rule.HEAD: CLASSIFIER, rule.CLIP: GUIDE}  # the second model of a mode
COLUMNS = {
    "frechet_distance": "Fréchet distance",
    "inception_score": "Inception Score",
    "precision": "precision",
    "recall": "recall",
    "clip_score": "CLIP score",
    "r_precision": "R-precision",
    "kernel_distance": "KID",
}


def plan(settings: Settings) -> list[Run]:
    """One training of every network, the longest first."""
    shared, overrides = settings["shared"], settings["overrides"]
    return [
        Run(
            name,
            # The network stands first, as people type it, and overrules what is shared.
            _merged(own, shared, overrides, own, settings["sizes"][name]),
            tuple(settings["stages"][name]),
        )
        for name, own in settings["networks"].items()
    ]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Sample under every guidance, measure, apply the rule."""
    for outcome in outcomes:
        if outcome.broken:
            raise StudyError(f"{outcome.run.name} broke down: {outcome.broken}")
    runs = {outcome.run.name: outcome for outcome in outcomes}
    trained = lab.load(runs[DIFFUSION].last.folder)
    trained.model.sampler = Sampling(settings["sampler"], steps=settings["steps"])
    real, extractor = lab.real(trained, settings["extractor"], settings["real_images"])
    bench = measure.Bench(
        trained,
        measure.guides(trained, runs[CLASSIFIER], runs[GUIDE]),
        real,
        extractor,
        ClipEvaluator.of(trained, runs[EVALUATOR]),
        settings["images"],
    )
    everything = _everything(bench, settings)
    found = {mode: _of(everything, mode) for mode in settings["modes"]}
    curves = [
        {
            mode: [own.point for own in own_samples if own.seed == seed]
            for mode, own_samples in found.items()
        }
        for seed in settings["seeds"]
    ]
    learned = _learned(runs)
    costs = [_cost(mode, own_samples, runs, settings) for mode, own_samples in found.items()]
    return Findings(
        rule.verdict(curves, learned),
        [
            _table(everything, settings, real=len(real)),
            _lead_table(curves),
            _cost_table(costs, learned),
        ],
        {
            "drawn": [_numbers(own) for own in everything],
            "costs": costs,
            "learned": vars(learned),
        },
        {
            "curves.png": partial(figures.curves, found),
            "picture.png": partial(figures.samples, found),
        },
    )


def _merged(*parts: Sequence[str]) -> tuple[str, ...]:
    """Overrides of which later ones win; no key twice."""
    values = dict(override.split("=", 1) for part in parts for override in part)
    return tuple(f"{key}={value}" for key, value in values.items())


def _everything(bench: measure.Bench, settings: Settings) -> list[Samples]:
    """Every mode, scale and seed; samples without guidance are shared by all modes."""
    everything: list[Samples] = []
    for seed in settings["seeds"]:
        alone = bench.sample(rule.FREE, OFF[rule.FREE], seed)
        for mode, scales in settings["modes"].items():
            if scales[0] != OFF[mode]:
                raise StudyError(f"modes.{mode} has to begin without guidance, at {OFF[mode]:g}")
            print(f"  {rule.WORDS[mode]}, seed {seed}", flush=True)
            everything.append(replace(alone, mode=mode, scale=OFF[mode]))
            everything += [bench.sample(mode, float(scale), seed) for scale in scales[1:]]
    return everything


def _of(everything: Sequence[Samples], mode: str) -> list[Samples]:
    return [own for own in everything if own.mode == mode]


def _learned(runs: Mapping[str, Outcome]) -> rule.Learned:
    """The accuracy of the second models on clean held-out images."""
    accuracy = runs[CLASSIFIER].metric("accuracy/noise_0")
    recall = runs[GUIDE].metric("recall_at_1/image_to_text")
    assert accuracy is not None
    assert recall is not None
    return rule.Learned(accuracy, recall)


def _cost(
    mode: str, own_samples: Sequence[Samples], runs: Mapping[str, Outcome], settings: Settings
) -> dict[str, Any]:
    """The cost of one guidance: networks, their training, the time of a sample."""
    second = NEEDS[mode]
    guided = [own.seconds for own in own_samples if own.scale != OFF[mode]]
    alone = [own.seconds for own in own_samples if own.scale == OFF[mode]]

    def of(name: str, *keys: str) -> float | None:
        value: float | None = runs[name].last.get(*keys)
        return value

    return {
        "mode": mode,
        "second_model": second,
        "diffusion_training_seconds": of(DIFFUSION, "training", "seconds"),
        "second_training_seconds": of(second, "training", "seconds") if second else 0.0,
        "second_training_images": runs[second].run.stages[-1] if second else 0,
        "second_parameters": of(second, "model", "parameters") if second else 0,
        "seconds_per_image": statistics.fmean(guided),
        "seconds_per_image_without": statistics.fmean(alone),
    }


def _numbers(own: Samples) -> dict[str, Any]:
    return {
        "mode": own.mode,
        "scale": own.scale,
        "seed": own.seed,
        "seconds_per_image": own.seconds,
        "metrics": own.metrics,
    }


def _table(everything: Sequence[Samples], settings: Settings, *, real: int) -> Table:
    rows = []
    for mode, scales in settings["modes"].items():
        for scale in scales:
            own = [one for one in _of(everything, mode) if one.scale == scale]
            rows.append(
                [
                    rule.WORDS[mode],
                    f"{scale:g}",
                    *(over_seeds([one.value(name) for one in own]) for name in COLUMNS),
                    shown(1000 * statistics.fmean(one.seconds for one in own)),
                ]
            )
    seeds = ", ".join(map(str, settings["seeds"]))
    note = (
        f"{settings['images']} samples for held-out captions against {real:,} training images, "
        f"features by `{settings['extractor']}`; {settings['sampler']} with {settings['steps']} "
        f"steps; means over sampling seeds {seeds}, in brackets the values. All start from "
        "the same noise, and the diffusion model is conditioned on the caption in all; the "
        "first row of each is that model alone, three times the same samples. *R-precision*: the "
        "share of samples whose own caption fits them best among all captions, by the CLIP of "
        "the score, which does not guide."
    )
    heads = ["guidance", "scale", *COLUMNS.values(), "ms an image"]
    return Table("Samples by guidance and scale", heads, rows, note)


def _lead_table(curves: Sequence[Mapping[str, rule.Curve]]) -> Table:
    rows = []
    for other in (rule.CLIP, rule.HEAD):
        found = rule.lead(curves, other)
        recalls = [rule.common(one[rule.FREE], one[other]) for one in curves]
        reach = "; ".join(f"{own[0]:.2f} to {own[-1]:.2f}" if own else "none" for own in recalls)
        if found is None:
            rows.append([rule.WORDS[other], reach, *["n/a"] * 3, "open"])
            continue
        rows.append(
            [
                rule.WORDS[other],
                reach,
                over_seeds(found.precision),
                over_seeds([-value for value in found.distance], _percent),
                over_seeds(found.score, _percent),
                found.standing,
            ]
        )
    heads = [
        "against", "recalls compared, by seed", "precision", "Fréchet distance",
        "Inception Score", "classifier-free",
    ]  # fmt: skip
    note = (
        "Classifier-free guidance less the other at the same recalls, between the points along "
        "straight lines; a smaller Fréchet distance is better, more of the others."
    )
    return Table("At the same recall", heads, rows, note)


def _cost_table(costs: Sequence[Mapping[str, Any]], learned: rule.Learned) -> Table:
    rows = [
        [
            rule.WORDS[cost["mode"]],
            cost["second_model"] or "none",
            f"{cost['second_parameters']:,}",
            f"{cost['second_training_images']:,}",
            shown(cost["second_training_seconds"]),
            shown(cost["diffusion_training_seconds"]),
            shown(1000 * cost["seconds_per_image"]),
        ]
        for cost in costs
    ]
    heads = [
        "guidance", "second model", "its parameters", "images it was trained on",
        "seconds of its training", "seconds of the diffusion model's", "ms an image",
    ]  # fmt: skip
    without = statistics.fmean(cost["seconds_per_image_without"] for cost in costs)
    note = (
        f"Without guidance a sample takes {shown(1000 * without)} ms. Of clean held-out images "
        f"the classifier recognises {learned.classifier:.0%}, and for {learned.clip:.0%} the "
        "guiding CLIP ranks their own caption first. Times are those of the machine below, "
        "trainings side by side."
    )
    return Table("Cost of each guidance", heads, rows, note)


def _percent(value: float) -> str:
    return f"{value:+.1%}"


STUDY = Study(Path(__file__).parent, plan, analyse)
