"""Precision, recall, density, coverage: who lies in whose k-nearest-neighbour ball.

Precision and recall: Kynkäänniemi et al. 2019 (1904.06991). Density and coverage: Naeem et al.
2020 (2002.09797).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.metrics.distances import Block, Distances
from genzoo.metrics.jackknife import Coverers
from genzoo.metrics.radii import kept_radii, squared_radii

CPU = torch.device("cpu")


@dataclass(frozen=True)
class NeighbourMetrics:
    """Fidelity (precision, density) and diversity (recall, coverage).

    Attributes:
        precision: share of generated images inside some real image's ball.
        recall: share of real images inside some generated image's ball.
        density: real balls around a generated image, on average, over k; not bounded by 1.
        coverage: share of real balls with a generated image inside.
        recall_error: standard error of recall over the generated images; NaN where unknown.
        density_error: of density.
        coverage_error: of coverage.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    recall_error: float = field(default=math.nan, compare=False)
    density_error: float = field(default=math.nan, compare=False)
    coverage_error: float = field(default=math.nan, compare=False)


def neighbour_metrics(
    real: Float[Tensor, "n d"],
    fake: Float[Tensor, "m d"],
    *,
    neighbours: int,
    density_neighbours: int,
    device: torch.device = CPU,
    cache: Path | None = None,
    also: Collector | None = None,
) -> NeighbourMetrics:
    """All four from one pass over the distances, of which only a block is held at a time.

    Args:
        real: features of real images.
        fake: features of generated images.
        neighbours: k of precision and recall, 3 in their paper.
        density_neighbours: k of density and coverage, 5 in theirs.
        device: where distances are computed; it does not change the numbers.
        cache: the folder where radii of the real images are kept; None to keep none.
        also: is handed the same distances from generated to real images.

    Raises:
        UsageError: a k that is not below the number of images.
    """
    ks = (neighbours, density_neighbours)
    for kind, k, n in (("real", max(ks), len(real)), ("generated", neighbours, len(fake))):
        if not 1 <= k < n:
            raise UsageError(
                f"{k} nearest neighbours cannot be found among {n} {kind} images",
                f"use more than {k} images, or lower metrics.neighbours and "
                "metrics.density_neighbours",
            )
    real_radii = kept_radii(real, ks, device=device, cache=cache)
    fake_radii = squared_radii(fake, ks[:1], device=device, what="radii of generated images")
    count = _Count(real_radii, fake_radii[0], device=device)
    for block in Distances(fake, real, device=device).blocks("neighbours of generated images"):
        count.add(block)
        if also is not None:
            also.add(block)
    return count.result(density_neighbours)


class Collector(Protocol):
    """What goes through blocks of distances."""

    def add(self, block: Block) -> None:
        """The next rows."""


class _Count:
    """Who lies in whose ball, over blocks of distances from generated to real images."""

    def __init__(
        self, real_radii: Sequence[Tensor], fake_radius: Tensor, *, device: torch.device
    ) -> None:
        self.narrow, self.wide = (radius.to(device) for radius in real_radii)
        self.fake_radius = fake_radius.to(device)[:, None]
        self.precise: list[Tensor] = []
        self.inside: list[Tensor] = []
        real, fake = len(self.wide), len(fake_radius)
        self.recalled = Coverers(real, fake, device=device)
        self.covered = Coverers(real, fake, device=device)

    def add(self, block: Block) -> None:
        self.precise.append(block.within(self.narrow, closed=True).any(1))
        near = block.within(self.fake_radius[block.rows], closed=True)
        self.recalled.add(near, block.rows.start)
        wide = block.within(self.wide, closed=False)
        self.covered.add(wide, block.rows.start)
        self.inside.append(wide.sum(1))

    def result(self, k: int) -> NeighbourMetrics:
        precise, inside = torch.cat(self.precise), torch.cat(self.inside)
        return NeighbourMetrics(
            precision=precise.double().mean().item(),
            recall=self.recalled.share,
            density=int(inside.sum()) / (k * len(inside)),
            coverage=self.covered.share,
            recall_error=self.recalled.error,
            density_error=inside.double().std().item() / k / len(inside) ** 0.5,
            coverage_error=self.covered.error,
        )
