"""Fréchet distance between two Gaussians fitted to features (Heusel et al. 2017, 1706.08500)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from genzoo.metrics.stats import FeatureStatistics

BLOCK = 256


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))``, Dowson and Landau 1982, eq. 4.

    With any factor C_a = F F^T, the matrices C_a C_b and F^T C_b F have the same non-zero
    eigenvalues, and the second is symmetric: the trace of the root is the sum of the roots of
    its eigenvalues. No matrix root, no complex numbers, and no jitter where a covariance is
    singular.

    Returns:
        The squared distance, not below 0 (rounding alone could take it there).

    Raises:
        ValueError: the two have different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"{len(a.mean)} features cannot be compared with {len(b.mean)}")
    if _rank(b) < _rank(a):
        a, b = b, a  # the smaller the factor, the smaller the eigenvalue problem
    gap = (a.mean - b.mean).square().sum()
    traces = (gap + a.cov.trace() + b.cov.trace()).item()
    return max(0.0, traces - 2 * _trace_of_root(a, b.cov))


def _rank(stats: FeatureStatistics) -> int:
    return min(stats.n - 1, len(stats.mean))


def _trace_of_root(a: FeatureStatistics, cov: Float[Tensor, "d d"]) -> float:
    inner = _congruence(a, cov)
    # LAPACK through numpy, which reads the lower triangle alone.
    values: NDArray[np.float64] = np.linalg.eigvalsh(inner.numpy(), UPLO="L")
    return float(np.sqrt(values.clip(min=0)).sum())


def _congruence(a: FeatureStatistics, cov: Float[Tensor, "d d"]) -> Float[Tensor, "r r"]:
    """F^T C F with F a factor of `a.cov`; right in its lower triangle."""
    if a.rows is not None:
        return a.rows @ cov @ a.rows.T
    if a.n > len(a.mean):
        lower, failed = torch.linalg.cholesky_ex(a.cov)
        if not failed:
            return _triangular_congruence(lower, cov)
    values, vectors = torch.linalg.eigh(a.cov)
    factor: Tensor = vectors * values.clamp(min=0).sqrt()
    return factor.T @ cov @ factor


def _triangular_congruence(
    lower: Float[Tensor, "d d"], cov: Float[Tensor, "d d"]
) -> Float[Tensor, "d d"]:
    """The lower triangle of L^T C L, by blocks, so that L's zeros cost nothing."""
    size = len(lower)
    half = torch.empty_like(cov)
    inner = torch.zeros_like(cov)
    for start in range(0, size, BLOCK):
        stop = start + BLOCK
        torch.mm(cov[:, start:], lower[start:, start:stop], out=half[:, start:stop])
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        inner[start:stop, :stop] = lower[start:, start:stop].T @ half[start:, :stop]
    return inner
