"""Statistics of real images that are kept without the images: a `.npz` with `mu` and `sigma`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genzoo.core.errors import UsageError
from genzoo.data import npz
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stats import FeatureStatistics
from genzoo.metrics.suite import (
    FeatureMetrics,
    MetricValue,
    in_order,
    metric_name,
    of_logits,
    to_statistics,
)

MEAN, COVARIANCE = "mu", "sigma"  # as pytorch-fid, clean-fid and ADM's evaluator call them
MOST = 16_384  # features; the covariance then has 2 GiB
WITHOUT_IMAGES = ("kernel_distance", "precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class ReferenceStatistics:
    """Mean and covariance of the features of real images, which themselves are not there.

    Attributes:
        name: the file's.
        statistics: with a count of images that is made up, because the file has none.
        sha256: of the two arrays.
    """

    name: str
    statistics: FeatureStatistics
    sha256: str

    @property
    def dim(self) -> int:
        """How many features."""
        return len(self.statistics.mean)


def has_statistics(path: Path) -> bool:
    """Whether a file holds statistics; one of ADM's may hold images besides.

    Raises:
        UsageError: for a `.npz` that cannot be read.
    """
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    return {MEAN, COVARIANCE} <= set(npz.names(path))


def read_statistics(path: Path) -> ReferenceStatistics:
    """The statistics in a `.npz`.

    Raises:
        UsageError: where `mu` and `sigma` are no mean and covariance.
    """
    mean, cov = _numbers(path, MEAN, 1), _numbers(path, COVARIANCE, 2)
    if cov.shape != (len(mean), len(mean)):
        raise _wrong(path, f"{COVARIANCE} of shape {cov.shape} does not fit {len(mean)} means")
    if not np.allclose(cov, cov.T, rtol=1e-3, atol=1e-6 * abs(cov).max(initial=0)):
        raise _wrong(path, f"{COVARIANCE} is not symmetric")
    digest = hashlib.sha256(mean.tobytes() + cov.tobytes()).hexdigest()
    # The count decides only how a factor of the covariance is found: by one for a full rank,
    # and by another one where that fails.
    statistics = FeatureStatistics(
        torch.from_numpy(mean), torch.from_numpy((cov + cov.T) / 2), len(mean) + 1
    )
    return ReferenceStatistics(path.stem, statistics, digest)


def _numbers(path: Path, name: str, dimensions: int) -> np.ndarray:
    with npz.opened(path, name) as array:
        fits = len(array.shape) == dimensions and 0 < max(array.shape) <= MOST
        if array.dtype.kind != "f" or not fits:
            raise _wrong(path, f"{name} is an array of {array.dtype} of shape {array.shape}")
        values = array.whole().astype(np.float64)
    if not np.isfinite(values).all():
        raise _wrong(path, f"{name} holds numbers that are not finite")
    return values


def _wrong(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"the statistics in {path} cannot be used ({reason})",
        f"give a .npz with {MEAN} (d,) and {COVARIANCE} (d, d) of real images' features",
    )


class StatisticsMetrics(FeatureMetrics):
    """`FeatureMetrics` against statistics alone: Fréchet distances, and what needs no real images.

    Args:
        reference: of the real images.
        extractor: which takes the features; it has to be the one that the statistics are of.
        settings: the numbers that the metrics depend on.
        **kwargs: as for `FeatureMetrics`.

    Raises:
        UsageError: the statistics are of another number of features.
    """

    def __init__(
        self,
        *,
        reference: ReferenceStatistics,
        extractor: FeatureExtractor,
        settings: MetricSettings,
        **kwargs: Any,
    ) -> None:
        if reference.dim != extractor.dim:
            raise UsageError(
                f"{reference.name} has statistics of {reference.dim} features, and "
                f"{extractor.name} has {extractor.dim}",
                "name the extractor that they were taken by: metrics=inception for 2048",
            )
        nothing = RealFeatures(torch.empty(0, extractor.dim), "given", reference.sha256)
        super().__init__(real=nothing, extractor=extractor, settings=settings, **kwargs)
        self.reference = reference

    def compute(self) -> dict[str, MetricValue]:
        """The metrics of all images so far.

        Raises:
            GenzooError: fewer than two images.
        """
        pooled, logits = (in_order(state, self.index) for state in (self.pooled, self.logits))
        known, seed = self.reference.statistics, self.settings.seed
        values = to_statistics(known, pooled.cpu(), seed=seed)
        if "inception_score" not in self.without:
            values |= of_logits(logits.cpu(), self.settings)
        return {metric_name(kind, self.extractor): value for kind, value in values.items()}
