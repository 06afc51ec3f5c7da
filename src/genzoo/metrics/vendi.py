"""Vendi score (Friedman and Dieng 2022, 2210.02410): how many different images there are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from genzoo.core.errors import UsageError


def vendi_score(features: Float[Tensor, "n d"]) -> float:
    """``exp(-sum_i l_i log l_i)`` with l the eigenvalues of K / n, equation 2.

    K holds the cosines between features. Those of the n images' matrix and of the d features' have
    the same eigenvalues but for zeros, so that the smaller one will do: exactly, whatever n.

    Returns:
        Between 1, where all images are alike, and the number of images, where no two have anything
        in common; never above the number of features.

    Raises:
        UsageError: no images.
    """
    if not len(features):
        raise UsageError("no images have no diversity", "generate at least 1")
    x = functional.normalize(features.detach().cpu().double(), dim=1) / len(features) ** 0.5
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    values = torch.linalg.eigvalsh(gram).clamp(min=0)
    return float(torch.special.entr(values / values.sum().clamp(min=1e-300)).sum().exp())
