"""The variational bound of a discrete process, term by term (DDPM, arXiv 2006.11239, eq. 5).

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genzoo.diffusion.predict import Images, Prediction, Step, step_back
from genzoo.diffusion.schedule import Schedule, at

HALF = 1 / 255  # half the distance of two grey levels in [-1, 1]
NATS = math.log(2.0)  # in a bit


def bound_term(
    prediction: Prediction, x_0: Images, schedule: Schedule, steps: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """One term of the bound, in bits per dimension.

    Step 0 is the likelihood of the 8-bit image, every other one the distance of the step back to
    the posterior that knows the image.
    """
    step = step_back(prediction, schedule, steps)
    known = step_back(replace(prediction, x0=x_0, log_variance=None, score=None), schedule, steps)
    distance = _divergence(known, step).flatten(1).mean(1)
    first = -_log_level(x_0, step).flatten(1).mean(1)
    return torch.where(steps == 0, first, distance) / NATS


def prior_term(x_0: Images, schedule: Schedule) -> Float[Tensor, " b"]:
    """The distance of the noisiest x_t to pure noise, in bits per dimension."""
    last = torch.full((len(x_0),), len(schedule) - 1, device=x_0.device)
    mean = at(schedule.alpha, last, x_0) * x_0
    log_variance = 2 * at(schedule.sigma.log(), last, x_0).expand_as(x_0)
    pure = Step(torch.zeros_like(x_0), torch.zeros_like(x_0))
    return _divergence(Step(mean, log_variance), pure).flatten(1).mean(1) / NATS


def _divergence(p: Step, q: Step) -> Tensor:
    """Kullback-Leibler divergence of two Gaussians, number by number, in nats."""
    return 0.5 * (
        q.log_variance
        - p.log_variance
        - 1
        + (p.log_variance - q.log_variance).exp()
        + (p.mean - q.mean).square() * (-q.log_variance).exp()
    )


def _log_level(x_0: Images, step: Step) -> Tensor:
    """Log-probability of each number's grey level; the outermost levels reach to infinity.

    Improved DDPM's released code approximates the normal distribution's integral; this is exact.
    """
    width = (0.5 * step.log_variance).exp()
    low = (x_0 - HALF - step.mean) / width
    high = (x_0 + HALF - step.mean) / width
    low = torch.where(x_0 < HALF - 1, torch.full_like(low, -torch.inf), low)
    high = torch.where(x_0 > 1 - HALF, torch.full_like(high, torch.inf), high)
    # Both on the side where the integral is small, so that their difference keeps its digits.
    flip = low > 0
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    below, above = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    gap = (above - below).clamp(min=1e-12)
    log_level: Tensor = above + torch.log(-torch.expm1(-gap))
    return log_level
