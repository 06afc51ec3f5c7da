"""Samples of one model at one scale of guidance, and their metrics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.lab.clip import ClipEvaluator
from experiments.lab.command import Settings
from experiments.lab.entries import Entry, entries
from experiments.lab.trained import BATCH, LoadedModel
from genzoo.core.noise import split_seed
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.real import RealFeatures, extract


@dataclass(frozen=True)
class Samples:
    """Samples of one model at one scale with one seed.

    Attributes:
        model: its name.
        scale: of the guidance.
        seed: of the noise.
        images: 8 bit, one a caption.
        metrics: with their stamps.
        spread: of several samples of one caption, as a share of that of real images.
    """

    model: str
    scale: float
    seed: int
    images: Tensor
    metrics: dict[str, Entry]
    spread: float

    def value(self, metric: str) -> float:
        """Of a metric."""
        return float(self.metrics[metric]["value"])


def measure(
    name: str,
    trained: LoadedModel,
    real: RealFeatures,
    extractor: FeatureExtractor,
    clip: ClipEvaluator,
    scale: float,
    seed: int,
    settings: Settings,
) -> Samples:
    """Sample from held-out captions, and measure."""
    data = trained.data
    indices = data.spread("validation", settings["images"]).tolist()
    guidance = ClassifierFree(scale)
    images = trained.sample(indices, seed=seed, guidance=guidance)
    metrics = entries(
        trained,
        real,
        extract(images.split(BATCH), extractor),
        extractor,
        guidance=f"classifier_free {scale:g}",
        sampler=str(trained.model.sampler),
        sample_seed=seed,
    )
    captions = [data.captions[i] for i in indices]
    metrics |= clip.entries(images, captions, about=metrics["frechet_distance"]["stamp"])
    repeated = data.spread("validation", settings["captions"]).tolist()
    again = []
    for k in range(settings["draws"]):
        samples = trained.sample(repeated, seed=split_seed(seed, "again", k), guidance=guidance)
        again.append(extract(samples.split(BATCH), extractor).pooled)
    spread = _apart(torch.stack(again, dim=1)) / _apart(_pairs(real))
    return Samples(name, scale, seed, images, metrics, spread)


def _pairs(real: RealFeatures) -> Tensor:
    """Real images in pairs: the first half of them beside the second."""
    half = len(real) // 2
    return torch.stack([real.pooled[:half], real.pooled[half : 2 * half]], dim=1)


def _apart(features: Tensor) -> float:
    """Mean distance of different members of a group; features of shape (groups, members, d)."""
    members = features.shape[1]
    distances = torch.cdist(features.double(), features.double()).sum((1, 2))
    return float((distances / (members * (members - 1))).mean())
