"""Standard errors over the generated samples: each metric without one sample, then the next.

The real images stay what they are: two models are compared with the same ones. A bootstrap would
be no better founded here. With as many features as samples the Fréchet distance of a resampled
set, in which every third sample is missing, is biased far upwards, and its derivative by the
samples' weights gives half of the standard error; leaving samples out gives all of it, and is too
large at worst (Efron and Stein 1981).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from genzoo.metrics.stats import FeatureStatistics

STEP = 0.5  # of the integral over log s: the error of the trapezoids is below 1e-8
ROWS = 4096  # samples that are left out in turn, of more evenly spaced ones
PARTNERS = 2000  # images of each kind that a sample's mean kernel is taken over, at most


def jackknife_error(left_out: Float[Tensor, " k"], n: int) -> float:
    """The standard error of a number over n samples (Tukey 1958).

    Args:
        left_out: the number without one sample, for all of them or for some chosen at random.
        n: how many samples there are.
    """
    if len(left_out) < 2:
        return math.nan
    return math.sqrt((n - 1) ** 2 / n * left_out.double().var().item())


def frechet_error(real: FeatureStatistics, fake: Float[Tensor, "n d"]) -> float:
    """The standard error over samples of a Fréchet distance.

    The covariance without a sample is the covariance less a multiple of y y^T. With the
    eigenvalues l_k of C_real^(1/2) C C_real^(1/2) and the coordinates u_k of C_real^(1/2) y in
    their eigenvectors, its root's trace changes by the integral over s > 0 of
    log(1 - c sum_k u_k^2 / (l_k + s^2)) / pi, which follows from
    x^(1/2) = 2/pi int x / (x + s^2) ds. Exact but for the quadrature, singular covariances
    included, at the cost of one eigendecomposition.
    """
    n = len(fake)
    if n < 3:
        return math.nan
    rows = fake.detach().cpu().double()
    mean = rows.mean(0)
    y = rows - mean
    eigenvalues, squares = _coordinates(real, y)
    chosen = _spaced(n)
    y, squares = y[chosen], squares[chosen]
    norm = y.square().sum(1)
    gap = -2 / (n - 1) * (y @ (mean - real.mean)) + norm / (n - 1) ** 2
    trace = -n / ((n - 1) * (n - 2)) * norm
    root = _downdated(eigenvalues, squares, n / (n - 1) ** 2)
    scale = math.sqrt((n - 1) / (n - 2))
    return jackknife_error(gap + trace - 2 * scale * root, n)


def _coordinates(real: FeatureStatistics, y: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues l_k, and each sample's u_k^2."""
    n, d = y.shape
    if n <= d:
        rows = y / (n - 1) ** 0.5
        values, vectors = np.linalg.eigh((rows @ real.cov @ rows.T).numpy())
        eigenvalues = torch.from_numpy(values).clamp(min=0)
        return eigenvalues, (n - 1) * eigenvalues * torch.from_numpy(vectors).square()
    factor = _factor(real)  # C_real = factor^T factor
    half = y @ factor.T
    values, vectors = np.linalg.eigh((half.T @ half / (n - 1)).numpy())
    return torch.from_numpy(values).clamp(min=0), (half @ torch.from_numpy(vectors)).square()


def _factor(stats: FeatureStatistics) -> Float[Tensor, "r d"]:
    """F with F^T F the covariance."""
    if stats.rows is not None:
        return stats.rows
    lower, failed = torch.linalg.cholesky_ex(stats.cov)
    if failed:
        values, vectors = torch.linalg.eigh(stats.cov)
        lower = vectors * values.clamp(min=0).sqrt()
    factor: Tensor = lower.T
    return factor


def _downdated(
    eigenvalues: Float[Tensor, " r"], squares: Float[Tensor, "k r"], c: float
) -> Float[Tensor, " k"]:
    """By how much c u u^T, taken away, changes the trace of the root of diag(eigenvalues)."""
    largest = float(eigenvalues.max())
    if not largest > 0:
        return torch.zeros(len(squares), dtype=torch.float64)
    # What is 0 but for rounding has no share in any sample.
    squares = squares * (eigenvalues > len(eigenvalues) * 1e-15 * largest)
    low, high = math.log(1e-7), math.log(1e4)
    s = largest**0.5 * torch.arange(low, high, STEP, dtype=torch.float64).exp()
    inverse = 1 / (eigenvalues[:, None] + s.square())
    logs = (1 - c * (squares @ inverse)).clamp(min=1e-30).log()
    tail = c * squares.sum(1) / s[-1]
    weights = STEP * s
    weights[-1] /= 2
    change: Tensor = (logs @ weights - tail) / math.pi
    return change


def _spaced(n: int, most: int = ROWS) -> Tensor:
    """At most so many of n numbers, evenly spaced."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.float64).round().long()


def kernel_error(
    real: Float[Tensor, "n d"], fake: Float[Tensor, "m d"], *, spread: float, subsets: int
) -> float:
    """The standard error over samples of a kernel distance, KID.

    Without sample x the unbiased estimate changes by 2 / m times x's mean kernel with the others
    less that with the real images, of which at most `PARTNERS` are asked. The subsets that the
    estimate is a mean over add their own chance. Their spread itself is no standard error: each
    has half of the samples or fewer, and several times its error.

    Args:
        real: features of the real images.
        fake: features of the samples.
        spread: standard deviation over the subsets.
        subsets: how many there are.
    """
    x, y = fake.detach().cpu().double(), real.detach().cpu().double()
    m = len(x)
    chosen, others = _spaced(m), _spaced(m, PARTNERS)
    y = y[_spaced(len(y), PARTNERS)]
    means = []
    for part in chosen.split(512):
        within = _kernel(x[part], x[others])
        within.masked_fill_(part[:, None] == others, 0.0)
        partners = len(others) - torch.isin(part, others).double()
        means.append(within.sum(1) / partners - _kernel(x[part], y).mean(1))
    alone = 4 * torch.cat(means).var().item() / m
    return math.sqrt(alone + spread**2 / subsets)


def inception_score_error(logits: Float[Tensor, "n k"], *, splits: int, seed: int) -> float:
    """The standard error over samples of an Inception Score, the mean over its splits.

    Args:
        logits: class scores, in the order of the samples' indices.
        splits: as for the score.
        seed: as for the score.
    """
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(logits)))
    log_p = logits.detach().cpu()[order].double().log_softmax(1)
    bounds = [part * len(log_p) // splits for part in range(splits + 1)]
    errors = [_split_error(log_p[a:b]) for a, b in itertools.pairwise(bounds)]
    return math.hypot(*errors) / splits


def _split_error(log_p: Float[Tensor, "m k"]) -> float:
    m = len(log_p)
    if m < 3:
        return math.nan
    p = log_p.exp()
    sure = (p * log_p).sum(1)
    others = ((p.sum(0) - p) / (m - 1)).clamp(min=0)
    entropy = -torch.special.xlogy(others, others).sum(1)
    return jackknife_error(((sure.sum() - sure) / (m - 1) + entropy).exp(), m)


class Coverers:
    """Which real images one sample alone covers: what recall or coverage is without it.

    Recall's balls would grow where a neighbour is missing. That is left out, which makes its error
    too large rather than too small.

    Args:
        real: how many real images.
        fake: how many samples.
        device: of what is added.
    """

    def __init__(self, real: int, fake: int, *, device: torch.device) -> None:
        self.real, self.fake = real, fake
        self._count, self._last = torch.zeros(2, real, dtype=torch.long, device=device)

    def add(self, covers: Bool[Tensor, "b n"], first: int) -> None:
        """Add the samples from number `first` on, and which real images each covers."""
        count = covers.sum(0)
        self._last = torch.where(count > 0, first + covers.byte().argmax(0), self._last)
        self._count += count

    @property
    def share(self) -> float:
        """Of real images that are covered."""
        return float((self._count > 0).double().mean().item())

    @property
    def error(self) -> float:
        """Its standard error over samples."""
        alone = torch.bincount(self._last[self._count == 1], minlength=self.fake)
        return jackknife_error(alone.double() / self.real, self.fake)


def _kernel(x: Float[Tensor, "a d"], y: Float[Tensor, "b d"]) -> Float[Tensor, "a b"]:
    return (x @ y.T).div_(x.shape[1]).add_(1.0).pow_(3)
