"""GLIDE and unCLIP of the same size, over the scales of guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.lab import trained as lab
from experiments.lab.clip import Judge
from experiments.lab.command import Settings, Study
from experiments.lab.entries import Entry, entries
from experiments.lab.findings import Findings, Table, over_seeds
from experiments.lab.sweep import Outcome, Run, StudyError
from experiments.lab.trained import BATCH, Trained
from experiments.unclip import picture, rule
from genzoo.core.noise import split_seed
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.diffusion.sampling import Sampling
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.real import RealFeatures, extract

MODELS = ("glide", "unclip")


@dataclass(frozen=True)
class Drawn:
    """What one model made at one scale with one seed.

    Attributes:
        model: its name.
        scale: of the guidance.
        seed: of the noise.
        pictures: 8 bit, one a caption.
        metrics: with their stamps.
        spread: of one caption's draws, as a share of that of real images.
    """

    model: str
    scale: float
    seed: int
    pictures: Tensor
    metrics: dict[str, Entry]
    spread: float

    def value(self, metric: str) -> float:
        """Of a metric."""
        return float(self.metrics[metric]["value"])


def plan(settings: Settings) -> list[Run]:
    """CLIP and GLIDE at once, then unCLIP on that CLIP, and a CLIP that only judges."""
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
    """Draw with both models at every scale, measure, judge."""
    for outcome in outcomes:
        if outcome.broken:
            raise StudyError(f"{outcome.run.name} broke down: {outcome.broken}")
    runs = {outcome.run.name: outcome for outcome in outcomes}
    everything: list[Drawn] = []
    for name in MODELS:
        trained = lab.load(runs[name].last.folder)
        trained.model.sampler = Sampling("ddim", steps=settings["steps"])
        real, extractor = lab.real(trained, settings["extractor"], settings["real_images"])
        judge = Judge.of(trained, runs["judge"])
        for scale in settings["guidance"]:
            for seed in settings["seeds"]:
                print(f"  {name} at {scale:g}, seed {seed}", flush=True)
                measured = partial(_drawn, name, trained, real, extractor, judge)
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
            "picture.png": partial(picture.samples, everything),
            "curves.png": partial(picture.curves, everything),
        },
    )


def _drawn(
    name: str,
    trained: Trained,
    real: RealFeatures,
    extractor: FeatureExtractor,
    judge: Judge,
    scale: float,
    seed: int,
    settings: Settings,
) -> Drawn:
    data = trained.data
    indices = data.spread("validation", settings["images"]).tolist()
    guidance = ClassifierFree(scale)
    pictures = trained.drawn(indices, seed=seed, guidance=guidance)
    metrics = entries(
        trained,
        real,
        extract(pictures.split(BATCH), extractor),
        extractor,
        guidance=f"classifier_free {scale:g}",
        sampler=str(trained.model.sampler),
        sample_seed=seed,
    )
    captions = [data.captions[i] for i in indices]
    metrics |= judge.entries(pictures, captions, about=metrics["frechet_distance"]["stamp"])
    drawn_again = data.spread("validation", settings["captions"]).tolist()
    again = []
    for k in range(settings["draws"]):
        drawn = trained.drawn(drawn_again, seed=split_seed(seed, "again", k), guidance=guidance)
        again.append(extract(drawn.split(BATCH), extractor).pooled)
    spread = _apart(torch.stack(again, dim=1)) / _apart(_pairs(real))
    return Drawn(name, scale, seed, pictures, metrics, spread)


def _pairs(real: RealFeatures) -> Tensor:
    """Real images in pairs: the first half of them beside the second."""
    half = len(real) // 2
    return torch.stack([real.pooled[:half], real.pooled[half : 2 * half]], dim=1)


def _apart(features: Tensor) -> float:
    """Mean distance of different members of a group; features of shape (groups, members, d)."""
    members = features.shape[1]
    distances = torch.cdist(features.double(), features.double()).sum((1, 2))
    return float((distances / (members * (members - 1))).mean())


def _point(everything: Sequence[Drawn], name: str, scale: float) -> rule.Point:
    own = [one for one in everything if (one.model, one.scale) == (name, scale)]
    return rule.Point(
        [one.value("frechet_distance") for one in own],
        [one.value("recall") for one in own],
        [one.spread for one in own],
    )


def _numbers(own: Drawn) -> dict[str, Any]:
    return {
        "model": own.model,
        "scale": own.scale,
        "seed": own.seed,
        "metrics": own.metrics,
        "spread": own.spread,
    }


def _table(everything: Sequence[Drawn], settings: Settings, *, real: int) -> Table:
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
        f"{settings['images']} pictures for held-out captions against {real:,} training images; "
        f"ddim with {settings['steps']} steps; means over sampling seeds {seeds}, in "
        f"brackets the values. *Spread*: mean distance of {settings['draws']} draws of a caption "
        "in features, as a share of that of any two real images. *R-precision*: the share of "
        "pictures whose own caption fits them best, of all that were drawn, by a CLIP on which "
        "nothing was built, as the CLIP score is."
    )
    heads = ["model", "guidance", *columns.values(), "spread"]
    return Table("GLIDE and unCLIP by the scale of guidance", heads, rows, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
