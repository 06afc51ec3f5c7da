"""From noise to images: each sampler is a generator of the states on the way.

A sampler sees no text, no network and no guidance: it asks a denoiser. Each takes

    denoise: what it asks, at every row's step of the schedule;
    x: where it begins, noise of the size of the schedule's last time;
    schedule: the times, in as many steps as are to be made;
    noise: `normal(c, h, w)` gives fresh numbers, a stream a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from genzoo.diffusion.predict import Denoiser, Images, Prediction, step_back
from genzoo.diffusion.schedule import Schedule, at

Steps = Int[Tensor, " b"]
LEAST_NOISE = 0.05  # sigma of a variance of 1, where the way from an image to its noise begins


@runtime_checkable
class Normal(Protocol):
    """A source of standard normal numbers."""

    def normal(self, *shape: int) -> Tensor: ...


@dataclass(frozen=True)
class State:
    """Where a sampler is after a step.

    Attributes:
        x: the less noisy images.
        x0: the images without noise that the step was made from.
    """

    x: Images
    x0: Images


Sampler = Callable[[Denoiser, Images, Schedule, Normal], Iterator[State]]


def final(states: Iterator[State]) -> Images:
    """The images at the end of the way."""
    *_, last = states
    return last.x


def ancestral(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """Every step is drawn from the learned Gaussian (DDPM, arXiv 2006.11239, algorithm 2)."""
    for t in _down(schedule, x):
        prediction = denoise(x, t)
        x = ancestral_step(prediction, schedule, t, noise.normal(*x.shape[1:]))
        yield State(x, prediction.x0)


def ancestral_step(prediction: Prediction, schedule: Schedule, t: Steps, fresh: Images) -> Images:
    """One step of `ancestral`; the last one is not noised."""
    step = step_back(prediction, schedule, t)
    return step.mean + _but_last(t, fresh) * (0.5 * step.log_variance).exp() * fresh


def ddim(
    denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal, *, eta: float = 0.0
) -> Iterator[State]:
    """Steps whose noise is a share `eta` of the posterior's (DDIM, arXiv 2010.02502, eq. 12)."""
    for t in _down(schedule, x):
        prediction = denoise(x, t).scored()
        fresh = noise.normal(*x.shape[1:]) if eta else torch.zeros_like(x)
        x = ddim_step(prediction, schedule, t, fresh, eta=eta)
        yield State(x, prediction.x0)


def ddim_step(
    prediction: Prediction, schedule: Schedule, t: Steps, fresh: Images, *, eta: float
) -> Images:
    """One step of `ddim`, from a prediction in which the score is already part of the noise."""
    x = prediction.x_t
    std = eta * at(schedule.posterior_variance.sqrt(), t, x)
    rest = (at(schedule.sigma_before, t, x) ** 2 - std**2).clamp(min=0).sqrt()
    mean = at(schedule.alpha_before, t, x) * prediction.x0 + rest * prediction.eps
    return mean + _but_last(t, x) * std * fresh


def dpm_solver(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): two images a step, one evaluation.

    The last step, to no noise at all, is one of first order.
    """
    log_snr = (schedule.alpha / schedule.sigma).log()  # half of it, the paper's lambda
    before: Images | None = None
    for t in _down(schedule, x):
        x0 = denoise(x, t).scored().x0
        k = int(t[0])
        direction = x0
        if before is not None and k > 0:
            ratio = (log_snr[k] - log_snr[k + 1]) / (log_snr[k - 1] - log_snr[k])
            direction = x0 + (x0 - before) / (2 * float(ratio))
        shrink = schedule.sigma_before[k] / schedule.sigma[k]
        grow = schedule.alpha_before[k] - schedule.alpha[k] * shrink
        x = float(shrink) * x + float(grow) * direction
        before = x0
        yield State(x, x0)


def heun(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """Two evaluations a step of the ODE, without added noise (EDM, arXiv 2206.00364, alg. 1).

    One evaluation where a step begins at noise alone, or ends at none.
    """
    for t in _down(schedule, x):
        k = int(t[0])
        here = denoise(x, t).scored()
        alpha, after = float(schedule.alpha[k]), float(schedule.alpha_before[k])
        sigma_after = float(schedule.sigma_before[k])
        x = after * here.x0 + sigma_after * here.eps
        if k > 0 and alpha > 0:
            ahead = denoise(x, t - 1).scored()
            width = sigma_after - after * float(schedule.sigma[k]) / alpha
            x = x + width * (ahead.eps - here.eps) / 2
        yield State(x, here.x0)


def ddim_reversed(denoise: Denoiser, images: Images, schedule: Schedule) -> Iterator[State]:
    """From images to the noise that `ddim` without noise leads back from.

    It begins at a little noise, with the image as it is: where a network says the image, noise is
    what it gets wrong of it divided by sigma, which next to no noise is many times too large.
    """
    share = schedule.sigma / (schedule.alpha**2 + schedule.sigma**2).sqrt()
    first = min(int((share < LEAST_NOISE).sum()), len(schedule) - 1)
    x = float(schedule.alpha[first]) * images
    for t in reversed(list(_down(schedule, x))[: len(schedule) - first]):
        prediction = denoise(x, t)
        x = ddim_step_up(prediction, schedule, t)
        yield State(x, prediction.x0)


def ddim_step_up(prediction: Prediction, schedule: Schedule, t: Steps) -> Images:
    """One step of `ddim_reversed`; the last one leads to noise alone."""
    alpha = torch.cat([schedule.alpha[1:], schedule.alpha.new_zeros(1)])
    sigma = torch.cat([schedule.sigma[1:], schedule.sigma.new_ones(1)])
    x0, eps = prediction.x0, prediction.eps
    return at(alpha, t, x0) * x0 + at(sigma, t, x0) * eps


def _down(schedule: Schedule, x: Images) -> Iterator[Steps]:
    """The steps from the noisiest time, one number a row."""
    for k in reversed(range(len(schedule))):
        yield torch.full((len(x),), k, device=x.device)


def _but_last(t: Steps, like: Images) -> Tensor:
    """0 for rows at their last step, 1 for the others."""
    return (t != 0).to(like.dtype).view(-1, *[1] * (like.ndim - 1))
