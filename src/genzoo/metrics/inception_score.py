"""Inception Score (Salimans et al. 2016, 1606.03498): sure about each image, diverse over all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError


def inception_score(
    logits: Float[Tensor, "n k"], *, splits: int, seed: int
) -> tuple[float, float]:
    """``exp(mean_x KL(p(y|x) || p(y)))``, once for each of `splits` parts of the images.

    Args:
        logits: class scores of the generated images, in the order of their indices.
        splits: number of parts, 10 in the literature.
        seed: of the fixed permutation that assigns images to parts. At 2020 it is
            torch-fidelity's, so that both give the same number for the same features.

    Returns:
        Mean and standard deviation over the parts; between 1 and the number of classes.

    Raises:
        UsageError: fewer images than parts.
    """
    n = len(logits)
    if n < splits:
        raise UsageError(
            f"an Inception Score of {splits} parts needs at least as many images, not {n}",
            f"generate more or set metrics.splits={max(n, 1)}",
        )
    order = torch.from_numpy(np.random.RandomState(seed).permutation(n))
    log_p = logits.detach().cpu()[order].double().log_softmax(1)
    bounds = [part * n // splits for part in range(splits + 1)]
    scores = [_score(log_p[a:b]) for a, b in pairwise(bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(log_p: Float[Tensor, "m k"]) -> float:
    # log of the mean probability in one step: a class that no image shows stays finite.
    log_mean = log_p.logsumexp(0) - np.log(len(log_p))
    divergence = (log_p.exp() * (log_p - log_mean)).sum(1)
    return float(divergence.mean().exp().item())
