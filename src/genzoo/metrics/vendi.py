"""Vendi score (Friedman and Dieng 2022, 2210.02410): how many different images there are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from genzoo.core.errors import UsageError


class Diversity(NamedTuple):
    """A Vendi score.

    Attributes:
        value: between 1 and the number of images, or of features if those are fewer.
        standard_error: over samples, by the infinitesimal jackknife; few samples also make the
            score too small, which is not in it.
    """

    value: float
    standard_error: float


def vendi_score(features: Float[Tensor, "n d"]) -> Diversity:
    """``exp(-sum_i l_i log l_i)`` with l the eigenvalues of K / n, equation 2.

    K holds the cosines between features: the score is 1 where all images are alike, and their
    number where no two have anything in common. The n images' matrix and the d features' M have
    the same eigenvalues but for zeros, so that the smaller one will do: exactly, whatever n.

    The entropy's derivative in the direction of an image x is -x' log(M) x less the entropy.

    Raises:
        UsageError: no images.
    """
    n = len(features)
    if not n:
        raise UsageError("no images have no diversity", "generate at least 1")
    x = functional.normalize(features.detach().cpu().double(), dim=1) / n**0.5
    few = n <= x.shape[1]
    values, vectors = torch.linalg.eigh(x @ x.T if few else x.T @ x)
    values = values.clamp(min=0) / values.clamp(min=0).sum().clamp(min=1e-300)
    entropy = torch.special.entr(values).sum()
    # The squared coordinates of each image along M's eigenvectors.
    along = n * values * vectors.square() if few else n * (x @ vectors).square()
    influence = -(along * values.clamp(min=1e-300).log()).sum(1)
    spread = influence.std() if n > 1 else torch.zeros(())
    value = float(entropy.exp())
    return Diversity(value, value * float(spread) / n**0.5)
