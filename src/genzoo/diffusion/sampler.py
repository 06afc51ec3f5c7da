"""Samplers: from noise to images, each a generator of the intermediate states.

A sampler knows no text, network or guidance: it calls a denoiser. Steps and their weights are
Python numbers, so that no device is synchronised with. Each sampler takes

    denoise: the denoiser, called at each step of the schedule;
    x: noise with the standard deviation of the schedule's last time;
    schedule: the times, one for each step;
    noise: `normal(c, h, w)` returns fresh noise, one stream a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Protocol, runtime_checkable

from torch import Tensor

from genzoo.diffusion.predict import Denoiser, Images, Prediction, posterior
from genzoo.diffusion.schedule import Schedule

LEAST_NOISE = 0.05  # sigma at total variance 1, where an inversion starts


@runtime_checkable
class Normal(Protocol):
    """A source of standard normal numbers."""

    def normal(self, *shape: int) -> Tensor: ...


@dataclass(frozen=True)
class State:
    """The state of a sampler after a step.

    Attributes:
        x: the less noisy images.
        x0: the predicted images of the step.
    """

    x: Images
    x0: Images


Sampler = Callable[[Denoiser, Images, Schedule, Normal], Iterator[State]]


def final(states: Iterator[State]) -> Images:
    """The images after the last step."""
    *_, last = states
    return last.x


def ancestral(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """Every step samples the learned Gaussian (DDPM, arXiv 2006.11239, algorithm 2)."""
    for k in _down(schedule):
        prediction = denoise(x, k)
        x = ancestral_step(prediction, schedule, k, noise.normal(*x.shape[1:]))
        yield State(x, prediction.x0)


def ancestral_step(prediction: Prediction, schedule: Schedule, k: int, fresh: Images) -> Images:
    """One step of `ancestral`; the last one adds no noise."""
    step = posterior(prediction, schedule, k)
    return step.mean + (0.5 * step.log_variance).exp() * fresh if k else step.mean


def ddim(
    denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal, *, eta: float = 0.0
) -> Iterator[State]:
    """Steps whose noise is a share `eta` of the posterior's (DDIM, arXiv 2010.02502, eq. 12)."""
    for k in _down(schedule):
        prediction = denoise(x, k).apply_score()
        fresh = noise.normal(*x.shape[1:]) if eta else None
        x = ddim_step(prediction, schedule, k, fresh, eta=eta)
        yield State(x, prediction.x0)


def ddim_step(
    prediction: Prediction, schedule: Schedule, k: int, fresh: Images | None, *, eta: float
) -> Images:
    """One step of `ddim`, from a prediction in which the score is already part of the noise.

    Without `fresh` numbers, and at the last step, nothing is added.
    """
    variance = eta**2 * schedule.posterior_variance[k]
    rest = sqrt(max(schedule.sigma_before[k] ** 2 - variance, 0.0))
    mean = schedule.alpha_before[k] * prediction.x0 + rest * prediction.eps
    return mean if k == 0 or fresh is None else mean + sqrt(variance) * fresh


def dpm_solver(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): two images a step, one evaluation.

    The last step, to zero noise, is of first order.
    """
    log_snr = schedule.log_snr  # half of it, the paper's lambda
    before: Images | None = None
    for k in _down(schedule):
        x0 = denoise(x, k).apply_score().x0
        direction = x0
        if before is not None and k > 0:
            ratio = (log_snr[k] - log_snr[k + 1]) / (log_snr[k - 1] - log_snr[k])
            direction = x0 + (x0 - before) / (2 * ratio)
        shrink = schedule.sigma_before[k] / schedule.sigma[k]
        grow = schedule.alpha_before[k] - schedule.alpha[k] * shrink
        x = shrink * x + grow * direction
        before = x0
        yield State(x, x0)


def heun(denoise: Denoiser, x: Images, schedule: Schedule, noise: Normal) -> Iterator[State]:
    """Two evaluations a step of the ODE, without added noise (EDM, arXiv 2206.00364, alg. 1).

    One evaluation where a step starts from pure noise, or ends without noise.
    """
    for k in _down(schedule):
        here = denoise(x, k).apply_score()
        alpha, after = schedule.alpha[k], schedule.alpha_before[k]
        sigma_after = schedule.sigma_before[k]
        x = after * here.x0 + sigma_after * here.eps
        if k > 0 and alpha > 0:
            ahead = denoise(x, k - 1).apply_score()
            width = sigma_after - after * schedule.sigma[k] / alpha
            x = x + width * (ahead.eps - here.eps) / 2
        yield State(x, here.x0)


def ddim_inversion(denoise: Denoiser, images: Images, schedule: Schedule) -> Iterator[State]:
    """From images to the noise from which deterministic `ddim` reconstructs them.

    It starts at a small noise level: a network that predicts the image has an error in eps of its
    error divided by sigma, which is far too large where sigma is almost zero.
    """
    little = int((schedule.share.values < LEAST_NOISE**2).sum())
    first = min(little, len(schedule) - 1)
    x = schedule.alpha[first] * images
    for k in range(first, len(schedule)):
        prediction = denoise(x, k)
        x = ddim_inversion_step(prediction, schedule, k)
        yield State(x, prediction.x0)


def ddim_inversion_step(prediction: Prediction, schedule: Schedule, k: int) -> Images:
    """One step of `ddim_inversion`; the last one ends in pure noise."""
    if k + 1 == len(schedule):
        return prediction.eps
    return schedule.alpha[k + 1] * prediction.x0 + schedule.sigma[k + 1] * prediction.eps


def _down(schedule: Schedule) -> Iterator[int]:
    """The steps, starting with the noisiest."""
    return reversed(range(len(schedule)))
