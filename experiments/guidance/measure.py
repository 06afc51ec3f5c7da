"""Samples of one diffusion model under every guidance, and their metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from experiments.guidance import rule
from experiments.lab.clip import ClipEvaluator
from experiments.lab.entries import METRICS, Entry, entries
from experiments.lab.sweep import Outcome
from experiments.lab.trained import BATCH, LoadedModel
from genzoo.contrastive.image_text import CLIPScorer, ImageTextModel
from genzoo.diffusion.guidance import Classifier, ClassifierFree, Scorer
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.real import RealFeatures, extract
from genzoo.models.base import identity
from genzoo.run import scorers

MEASURED = (*METRICS, "inception_score")
NAMES = {"fid": "frechet_distance", "kid": "kernel_distance"}  # what published weights call them
OFF = {rule.FREE: 1.0, rule.HEAD: 0.0, rule.CLIP: 0.0}  # scales without guidance


@dataclass(frozen=True)
class Samples:
    """Samples of one guidance with one seed.

    Attributes:
        mode: of the guidance.
        scale: of the guidance.
        seed: of the noise, the same for every guidance.
        images: 8 bit.
        captions: that they were sampled from.
        seconds: sampling time of one image.
        metrics: with their stamps.
    """

    mode: str
    scale: float
    seed: int
    images: Tensor
    captions: Sequence[str]
    seconds: float
    metrics: Mapping[str, Entry]

    def value(self, metric: str) -> float:
        """Of a metric."""
        return float(self.metrics[metric]["value"])

    @property
    def point(self) -> rule.Point:
        """For the rule."""
        return rule.Point(
            self.scale,
            precision=self.value("precision"),
            recall=self.value("recall"),
            distance=self.value("frechet_distance"),
            score=self.value("inception_score"),
        )


@dataclass(frozen=True)
class Guides:
    """The guidance of every mode, by networks that other runs trained.

    Attributes:
        scorers: by mode; classifier-free guidance needs none.
    """

    scorers: Mapping[str, Scorer]

    def guidance(self, mode: str, scale: float) -> Any:
        """The guidance of a mode; at its first scale there is none."""
        if scale == OFF[mode]:
            return identity
        if mode == rule.FREE:
            return ClassifierFree(scale)
        return Classifier(self.scorers[mode], scale)


def guides(trained: LoadedModel, classifier: Outcome, clip: Outcome) -> Guides:
    """Both second models, with their averaged weights, on the model's device."""
    head = _scorer(trained, classifier)
    image_text = _scorer(trained, clip)
    assert isinstance(head, Scorer)
    assert isinstance(image_text, ImageTextModel)
    return Guides({rule.HEAD: head, rule.CLIP: CLIPScorer(image_text)})


@dataclass(frozen=True)
class Bench:
    """The models and features for sampling and measuring.

    Attributes:
        trained: the diffusion model, its sampler set.
        guides: the second models.
        real: features of training images.
        extractor: of features.
        clip: a CLIP that does not guide.
        count: images for each guidance and seed.
    """

    trained: LoadedModel
    guides: Guides
    real: RealFeatures
    extractor: FeatureExtractor
    clip: ClipEvaluator
    count: int

    def sample(self, mode: str, scale: float, seed: int) -> Samples:
        """Samples for held-out captions, and their metrics."""
        data = self.trained.data
        indices = data.spread("validation", self.count).tolist()
        begin = time.perf_counter()
        guidance = self.guides.guidance(mode, scale)
        images = self.trained.sample(indices, seed=seed, guidance=guidance)
        seconds = (time.perf_counter() - begin) / len(indices)
        captions = [data.captions[i] for i in indices]
        words = "none" if scale == OFF[mode] else f"{mode} {scale:g}"
        sampler = str(self.trained.model.sampler)
        metrics = entries(
            self.trained,
            self.real,
            extract(images.split(BATCH), self.extractor),
            self.extractor,
            guidance=words,
            sampler=sampler,
            sample_seed=seed,
            kept=(*MEASURED, *NAMES),
        )
        metrics = {NAMES.get(name, name): entry for name, entry in metrics.items()}
        about = metrics["frechet_distance"]["stamp"]
        metrics |= self.clip.entries(images, captions, about=about)
        return Samples(mode, scale, seed, images, captions, seconds, metrics)


def _scorer(trained: LoadedModel, outcome: Outcome) -> object:
    word = str(outcome.last.folder)
    scorer: Any = scorers.load_scorer(
        word, output=trained.cfg.output, weights_dir=trained.cfg.weights_dir
    )
    return scorer.to(trained.device)
