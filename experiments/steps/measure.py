"""Pictures of one sampler in one number of steps, and what they cost."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from experiments.lab.entries import Entry
from experiments.lab.trained import LoadedModel
from experiments.steps import rule


@dataclass(frozen=True)
class Drawn:
    """What one sampler made in one number of steps.

    Attributes:
        sampler: its name.
        steps: that it made.
        pictures: 8 bit.
        seconds: that one picture took.
        metrics: with their stamps.
    """

    sampler: str
    steps: int
    pictures: Tensor
    seconds: float
    metrics: dict[str, Entry]

    @property
    def point(self) -> rule.Point:
        """For the rule."""
        distance = float(self.metrics["frechet_distance"]["value"])
        return rule.Point(self.steps, distance, self.seconds)


def draw(trained: LoadedModel, *, count: int) -> tuple[Tensor, float]:
    """Pictures for held-out captions, the same noise for every sampler, and the seconds of one."""
    indices = trained.data.spread("validation", count).tolist()
    begin = time.perf_counter()
    pictures = trained.drawn(indices, seed=int(trained.cfg.seed))
    return pictures, (time.perf_counter() - begin) / len(indices)
