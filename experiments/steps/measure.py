"""Samples of one sampler with one number of steps, and their cost."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from experiments.lab.entries import Entry
from experiments.lab.trained import LoadedModel
from experiments.steps import rule


@dataclass(frozen=True)
class Samples:
    """Samples of one sampler with one number of steps.

    Attributes:
        sampler: its name.
        steps: of the sampler.
        images: 8 bit.
        seconds: sampling time of one image.
        metrics: with their stamps.
    """

    sampler: str
    steps: int
    images: Tensor
    seconds: float
    metrics: dict[str, Entry]

    @property
    def point(self) -> rule.Point:
        """For the rule."""
        distance = float(self.metrics["frechet_distance"]["value"])
        return rule.Point(self.steps, distance, self.seconds)


def sample(trained: LoadedModel, *, count: int) -> tuple[Tensor, float]:
    """Samples of held-out captions, from the same noise for every sampler; seconds an image."""
    indices = trained.data.spread("validation", count).tolist()
    begin = time.perf_counter()
    images = trained.sample(indices, seed=int(trained.cfg.seed))
    return images, (time.perf_counter() - begin) / len(indices)
