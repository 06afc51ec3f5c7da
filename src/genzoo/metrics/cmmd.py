"""CMMD (Jayasumana et al. 2023, 2401.09603): distance of CLIP's embeddings, under a wide kernel.

1000 times the squared maximum mean discrepancy under exp(-|x - y|^2 / (2 * 10^2)), of embeddings
of length 1. This is the unbiased estimator (Gretton et al. 2012, equation 3). The authors' code
(google-research/cmmd) takes the biased one, which keeps each image's similarity to itself: that
adds 1000 times (1 - mean k) / n for either set, with 30,000 images some 0.0003, with 100 some 0.1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.precision import exact

SIGMA, SCALE = 10.0, 1000.0
BLOCK = 1024  # rows whose similarities are held at once
CPU = torch.device("cpu")


class Discrepancy(NamedTuple):
    """A squared MMD, times `SCALE`.

    Attributes:
        value: unbiased, so that it can fall below 0.
        standard_error: over the samples, by a jackknife; too wide where the sets are alike.
        biased: the same as the authors' code computes it.
    """

    value: float
    standard_error: float
    biased: float


def cmmd(
    real: Float[Tensor, "m d"], fake: Float[Tensor, "n d"], *, device: torch.device = CPU
) -> Discrepancy:
    """The discrepancy of two sets of embeddings.

    Args:
        real: embeddings of real images.
        fake: of generated ones.
        device: where similarities are computed.

    Raises:
        UsageError: fewer than 2 of either.
    """
    m, n = len(real), len(fake)
    if min(m, n) < 2:
        raise UsageError(
            f"CMMD of {m} real and {n} generated images is not defined", "use at least 2 of either"
        )
    x, y = (part.detach().to(device, torch.float32) for part in (real, fake))
    # Sums of k - 1: the ones cancel, and what is left keeps its digits.
    within_real = _row_sums(x, x).sum()
    own, cross = _row_sums(y, y), _row_sums(y, x)
    real_part = within_real / (m * (m - 1))
    value = real_part + own.sum() / (n * (n - 1)) - 2 * cross.sum() / (n * m)
    biased = within_real / m**2 + own.sum() / n**2 - 2 * cross.sum() / (n * m)
    error = torch.zeros((), dtype=torch.float64)
    if n > 2:
        left = real_part + (own.sum() - 2 * own) / ((n - 1) * (n - 2))
        left = left - 2 * (cross.sum() - cross) / ((n - 1) * m)
        error = ((n - 1) / n * (left - left.mean()).square().sum()).sqrt()
    return Discrepancy(*(float(SCALE * number) for number in (value, error, biased)))


def _row_sums(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, " n"]:
    """The sum over b of k(a, b) - 1 for each row of a, in float64 on the CPU."""
    norms = b.square().sum(1)
    parts = []
    with exact(a.device):
        for part in a.split(BLOCK):
            distance = (part.square().sum(1)[:, None] + norms - 2 * part @ b.T).clamp_(min=0)
            parts.append(distance.div_(-2 * SIGMA**2).expm1_().sum(1, dtype=torch.float64).cpu())
    return torch.cat(parts)
