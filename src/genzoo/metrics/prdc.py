"""Precision, recall, density, coverage: who lies in whose k-nearest-neighbour ball.

Precision and recall: Kynkäänniemi et al. 2019 (1904.06991). Density and coverage: Naeem et al.
2020 (2002.09797).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError

BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class NeighbourMetrics:
    """Fidelity (precision, density) and diversity (recall, coverage).

    Attributes:
        precision: share of generated images inside some real image's ball.
        recall: share of real images inside some generated image's ball.
        density: real balls around a generated image, on average, over k; not bounded by 1.
        coverage: share of real balls with a generated image inside.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_metrics(
    real: Float[Tensor, "n d"],
    fake: Float[Tensor, "m d"],
    *,
    neighbours: int,
    density_neighbours: int,
) -> NeighbourMetrics:
    """All four from one pass over the distances, of which only a block is held at a time.

    Args:
        real: features of real images.
        fake: features of generated images.
        neighbours: k of precision and recall, 3 in their paper.
        density_neighbours: k of density and coverage, 5 in theirs.

    Raises:
        UsageError: a k that is not below the number of images.
    """
    wide = max(neighbours, density_neighbours)
    for kind, k, n in (("real", wide, len(real)), ("generated", neighbours, len(fake))):
        if not 1 <= k < n:
            raise UsageError(
                f"{k} nearest neighbours cannot be found among {n} {kind} images",
                f"use more than {k} images, or lower metrics.neighbours and "
                "metrics.density_neighbours",
            )
    centre = real.detach().cpu().double().mean(0)
    x = real.detach().cpu().double() - centre
    y = fake.detach().cpu().double() - centre
    real_radius = squared_radii(x, (neighbours, density_neighbours))
    (fake_radius,) = squared_radii(y, (neighbours,))
    return _count(x, y, real_radius, fake_radius, density_neighbours)


def _count(
    x: Tensor, y: Tensor, real_radius: list[Tensor], fake_radius: Tensor, k: int
) -> NeighbourMetrics:
    narrow, wide = real_radius
    precise = torch.zeros(len(y), dtype=torch.bool)
    nearest = torch.full((len(x),), torch.inf, dtype=torch.float64)
    recalled = torch.zeros(len(x), dtype=torch.bool)
    inside = 0
    for rows, distance in _blocks(y, x):
        precise[rows] = (distance <= narrow).any(1)
        recalled |= (distance <= fake_radius[rows, None]).any(0)
        nearest = torch.minimum(nearest, distance.amin(0))
        inside += int((distance < wide).sum())
    return NeighbourMetrics(
        precision=precise.double().mean().item(),
        recall=recalled.double().mean().item(),
        density=inside / (k * len(y)),
        coverage=(nearest < wide).double().mean().item(),
    )


def squared_radii(x: Float[Tensor, "n d"], ks: tuple[int, ...]) -> list[Float[Tensor, " n"]]:
    """For each k the squared distance of every row to its k-th nearest other row."""
    parts = [
        distance.topk(max(ks) + 1, dim=1, largest=False, sorted=True).values
        for _, distance in _blocks(x, x)
    ]
    nearest = torch.cat(parts)  # column 0 is the row itself
    return [nearest[:, k].contiguous() for k in ks]


def _blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Float[Tensor, "r m"]]]:
    """Squared distances from some rows of `a` to all of `b`, block after block."""
    size = max(1, BLOCK_BYTES // (8 * len(b)))
    norm_a, norm_b = a.square().sum(1), b.square().sum(1)
    for start in range(0, len(a), size):
        rows = slice(start, min(start + size, len(a)))
        scale = norm_a[rows, None] + norm_b
        distance = torch.addmm(scale, a[rows], b.T, alpha=-2)
        # What is left of equal rows is rounding; they are at distance 0.
        yield rows, distance.masked_fill_(distance <= 1e-13 * scale, 0.0)
