"""The variational bound of a discrete process, term by term (DDPM, arXiv 2006.11239, eq. 5).

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.diffusion.predict import Images, Prediction, Step, posterior
from genzoo.diffusion.schedule import Schedule
from genzoo.diffusion.table import Steps

HALF = 1 / 255  # half the distance between grey levels in [-1, 1]
NATS = math.log(2.0)  # per bit


def vlb_term(
    prediction: Prediction, x_0: Images, schedule: Schedule, steps: Steps
) -> Float[Tensor, " b"]:
    """One term of the bound, in bits per dimension.

    At step 0 the negative log-likelihood of the 8-bit image; at others the KL divergence from the
    true posterior q(x_{t-1} | x_t, x_0) to the model's.
    """
    step = posterior(prediction, schedule, steps)
    if isinstance(steps, int) and steps == 0:
        return _first(x_0, step)
    known = posterior(replace(prediction, x0=x_0, log_variance=None, score=None), schedule, steps)
    distance = _divergence(known, step).flatten(1).mean(1) / NATS
    if isinstance(steps, int):
        return distance
    return torch.where(steps == 0, _first(x_0, step), distance)


def prior_term(x_0: Images, schedule: Schedule) -> Float[Tensor, " b"]:
    """KL divergence of q(x_T | x_0) from a standard normal, in bits per dimension."""
    log_variance = torch.full_like(x_0, 2 * math.log(schedule.sigma[-1]))
    pure = Step(torch.zeros_like(x_0), torch.zeros_like(x_0))
    last = Step(schedule.alpha[-1] * x_0, log_variance)
    return _divergence(last, pure).flatten(1).mean(1) / NATS


def _first(x_0: Images, step: Step) -> Float[Tensor, " b"]:
    return -_log_level(x_0, step).flatten(1).mean(1) / NATS


def _divergence(p: Step, q: Step) -> Tensor:
    """KL(p || q) of two Gaussians, elementwise, in nats."""
    return 0.5 * (
        q.log_variance
        - p.log_variance
        - 1
        + (p.log_variance - q.log_variance).exp()
        + (p.mean - q.mean).square() * (-q.log_variance).exp()
    )


def _log_level(x_0: Images, step: Step) -> Tensor:
    """Log-probability of each element's grey level; the outermost bins extend to infinity.

    Improved DDPM's released code approximates the normal distribution's integral; this is exact.
    """
    width = (0.5 * step.log_variance).exp()
    low = (x_0 - HALF - step.mean) / width
    high = (x_0 + HALF - step.mean) / width
    low = torch.where(x_0 < HALF - 1, torch.full_like(low, -torch.inf), low)
    high = torch.where(x_0 > 1 - HALF, torch.full_like(high, torch.inf), high)
    # Both in the tail where the integral is small, so that their difference stays accurate.
    flip = low > 0
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    below, above = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    gap = (above - below).clamp(min=1e-12)
    log_level: Tensor = above + torch.log(-torch.expm1(-gap))
    return log_level
