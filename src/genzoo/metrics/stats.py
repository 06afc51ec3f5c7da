"""Features to their first two moments, summed in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import GenzooError


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of a set of features.

    Attributes:
        mean: float64.
        cov: float64, with the divisor n - 1.
        n: how many images.
        rows: the centred features over sqrt(n - 1), so that ``cov = rows.T @ rows``; kept only
            where n <= d. The covariance is then singular, and this factor of it exact.
    """

    mean: Float[Tensor, " d"]
    cov: Float[Tensor, "d d"]
    n: int
    rows: Float[Tensor, "n d"] | None = None


class FeatureSums:
    """Moments of features that come in parts.

    Args:
        dim: number of features of an image.
    """

    def __init__(self, dim: int) -> None:
        self.n = 0
        self._shift: Tensor | None = None
        self._first = torch.zeros(dim, dtype=torch.float64)
        self._second = torch.zeros(dim, dim, dtype=torch.float64)
        self._rows: list[Tensor] = []

    def update(self, features: Float[Tensor, "b d"]) -> None:
        """Add the features of some more images."""
        if not len(features):
            return
        part = features.detach().to(device="cpu", dtype=torch.float64)
        if self._shift is None:
            # Sums about a point near the mean lose no digits to cancellation.
            self._shift = part.mean(0)
        part = part - self._shift
        self._first += part.sum(0)
        self._second.addmm_(part.T, part)
        self.n += len(part)
        if self.n <= len(self._first):
            self._rows.append(part)
        else:
            self._rows.clear()

    def result(self) -> FeatureStatistics:
        """The statistics of everything seen so far.

        Raises:
            GenzooError: fewer than two images, which have no covariance.
        """
        if self.n < 2 or self._shift is None:
            raise GenzooError(
                f"{self.n} images have no covariance",
                "measure at least 2; below some thousands the numbers depend on how many",
            )
        mean = self._first / self.n
        cov = (self._second - self.n * torch.outer(mean, mean)) / (self.n - 1)
        rows = (torch.cat(self._rows) - mean) / (self.n - 1) ** 0.5 if self._rows else None
        return FeatureStatistics(mean + self._shift, (cov + cov.T) / 2, self.n, rows)


def feature_statistics(features: Float[Tensor, "n d"], *, chunk: int = 4096) -> FeatureStatistics:
    """Mean and covariance of a whole set.

    Raises:
        GenzooError: fewer than two images.
    """
    sums = FeatureSums(features.shape[1])
    for part in features.split(chunk):
        sums.update(part)
    return sums.result()


def merged(parts: Sequence[FeatureStatistics]) -> FeatureStatistics:
    """The statistics of all images of several sets, from those of each.

    With the exact factor where the images are no more than the features and each part has its own.
    """
    n = sum(part.n for part in parts)
    mean = torch.stack([part.n * part.mean for part in parts]).sum(0) / n
    cov = torch.zeros_like(parts[0].cov)
    for part in parts:
        cov.add_(part.cov, alpha=part.n - 1)
        cov.addr_(part.mean - mean, part.mean - mean, alpha=part.n)
    rows = None
    if n <= len(mean):
        centred = [
            part.rows * (part.n - 1) ** 0.5 + (part.mean - mean)
            for part in parts
            if part.rows is not None
        ]
        rows = torch.cat(centred) / (n - 1) ** 0.5 if len(centred) == len(parts) else None
    return FeatureStatistics(mean, cov / (n - 1), n, rows)
