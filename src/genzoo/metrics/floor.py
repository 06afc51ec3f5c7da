"""The Fréchet distance that a perfect model would have: what too few images alone cause."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.stats import feature_statistics

EACH = 10  # images a feature, of fewer the floor is more than some 2 % of the features' variance
MOST = 10  # sets as large as the samples, more real images change little and take time
LEAST = 16  # real images, of fewer no floor can be told


def needed(dim: int) -> int:
    """How many images a Fréchet distance of so many features needs before its floor is small.

    Of n images whose d features vary alike, a perfect model's distance is about
    (1 + d / 4) / n of the features' variance; at ten images a feature, 2.5 %.
    """
    return EACH * dim


def frechet_floor(real: Float[Tensor, "m d"], *, samples: int, seed: int) -> float | None:
    """About what a perfect model scores: other images of the same kind as the real ones.

    Where the real images are three times the samples or more, it is the distance of so many of
    them from the others. Otherwise it follows from the distances of their halves and of their
    quarters by a power law of 1 / n + 1 / m, on which the distance of n images from m depends;
    that is rough, and a third too much where real images are no more than features.

    Args:
        real: features of the real images.
        samples: how many a model generates.
        seed: of the choice of the sets.

    Returns:
        A squared distance in the units of the features; None for fewer than `LEAST` images.
    """
    m = len(real)
    if m < LEAST or samples < 2:
        return None
    order = torch.from_numpy(np.random.RandomState(seed).permutation(m))
    if m >= 3 * samples:
        return _between(real, order[:samples], order[samples : MOST * samples])
    large, small = m // 2, m // 4
    half = _between(real, order[:large], order[large : 2 * large])
    quarter = _between(real, order[:small], order[small : 2 * small])
    if min(half, quarter) <= 0:
        return half
    power = math.log(quarter / half) / math.log(large / small)
    return float(half * ((1 / samples + 1 / m) / (2 / large)) ** power)


def _between(real: Tensor, one: Tensor, other: Tensor) -> float:
    return frechet_distance(feature_statistics(real[one]), feature_statistics(real[other]))
