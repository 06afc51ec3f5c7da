"""Kernel distance, KID (Bińkowski et al. 2018, 1801.01401): an unbiased squared MMD."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError

WHOLE = 6000  # images of both kinds; 288 MB of float64


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
    features = torch.cat([fake.detach().cpu(), real.detach().cpu()]).double()
    # Subsets overlap: where all pairs fit into memory, each pair is computed once.
    whole = _kernel(features) if len(features) <= WHOLE else None
    values = []
    for _ in range(subsets):
        drawn = rng.choice(len(fake), subset_size, replace=False)
        others = len(fake) + rng.choice(len(real), subset_size, replace=False)
        rows = torch.from_numpy(np.concatenate([drawn, others]))
        kernel = _kernel(features[rows]) if whole is None else whole[rows][:, rows]
        values.append(_mmd(kernel, subset_size))
    return float(np.mean(values)), float(np.std(values))


def mmd_unbiased(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """The U-statistic of Gretton et al. 2012, eq. 3, for the cubic kernel, in float64."""
    return _mmd(_kernel(torch.cat([x, y]).double()), len(x))


def _mmd(kernel: Float[Tensor, "k k"], n: int) -> float:
    m = len(kernel) - n
    k_xx, k_yy = kernel[:n, :n], kernel[n:, n:]
    within_x = (k_xx.sum() - k_xx.trace()) / (n * (n - 1))
    within_y = (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return float((within_x + within_y - 2 * kernel[:n, n:].mean()).item())


def _kernel(x: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    return (x @ x.T).div_(x.shape[1]).add_(1.0).pow_(3)
