"""Kernel distance, KID (Bińkowski et al. 2018, 1801.01401): an unbiased squared MMD."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.errors import UsageError


def kernel_distance(
    real: Float[Tensor, "n d"],
    fake: Float[Tensor, "m d"],
    *,
    subsets: int,
    subset_size: int,
    seed: int,
) -> tuple[float, float]:
    """Unbiased squared maximum mean discrepancy under the kernel ``(x.y / d + 1)^3``.

    Args:
        real: features of real images.
        fake: features of generated images.
        subsets: how many pairs of subsets are drawn.
        subset_size: images of each kind in a subset, drawn without replacement.
        seed: of the draws. At 2020 they are torch-fidelity's (with `fake` as its first input).

    Returns:
        Mean and standard deviation over the subsets; being unbiased, it can fall below 0.

    Raises:
        UsageError: subsets of fewer than 2 images, or larger than there are images.
    """
    smaller = min(len(real), len(fake))
    if not 2 <= subset_size <= smaller:
        raise UsageError(
            f"kernel-distance subsets of {subset_size} images cannot be drawn from "
            f"{len(real)} real and {len(fake)} generated images",
            f"set metrics.subset_size between 2 and {max(smaller, 2)}, or generate more images",
        )
    rng = np.random.RandomState(seed)
    x, y = fake.detach().cpu(), real.detach().cpu()
    values = []
    for _ in range(subsets):
        rows_x = torch.from_numpy(rng.choice(len(x), subset_size, replace=False))
        rows_y = torch.from_numpy(rng.choice(len(y), subset_size, replace=False))
        values.append(mmd_unbiased(x[rows_x], y[rows_y]))
    return float(np.mean(values)), float(np.std(values))


def mmd_unbiased(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """The U-statistic of Gretton et al. 2012, eq. 3, for the cubic kernel, in float64."""
    x, y = x.double(), y.double()
    n, m = len(x), len(y)
    k_xx, k_yy = _kernel(x, x), _kernel(y, y)
    within_x = (k_xx.sum() - k_xx.trace()) / (n * (n - 1))
    within_y = (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return float((within_x + within_y - 2 * _kernel(x, y).mean()).item())


def _kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    return (x @ y.T).div_(x.shape[1]).add_(1.0).pow_(3)
