"""What a network's output says about the image, the noise and the step back.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genzoo.diffusion.schedule import Schedule, at
from genzoo.errors import UsageError

Images = Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class Prediction:
    """What a denoiser says at x_t = alpha x0 + sigma eps.

    Attributes:
        x0: the image without noise.
        x_t: what the denoiser saw.
        alpha: weight of the image in x_t, one a row.
        sigma: weight of the noise in x_t, one a row.
        log_variance: of the x before given x_t, where it is learned.
        score: gradient of what the sample is to be made likelier for, with respect to x_t; each
            sampler adds it in its own way (`scored`, or a shift of the mean).
    """

    x0: Images
    x_t: Images
    alpha: Float[Tensor, "b 1 1 1"]
    sigma: Float[Tensor, "b 1 1 1"]
    log_variance: Images | None = None
    score: Images | None = None

    def __getitem__(self, rows: slice) -> Prediction:
        optional = (self.log_variance, self.score)
        return Prediction(
            *(value[rows] for value in (self.x0, self.x_t, self.alpha, self.sigma)),
            *(None if value is None else value[rows] for value in optional),
        )

    @property
    def eps(self) -> Images:
        """The noise that goes with the image."""
        return (self.x_t - self.alpha * self.x0) / self.sigma

    def with_x0(self, x0: Images) -> Prediction:
        """Another image."""
        return replace(self, x0=x0)

    def with_eps(self, eps: Images) -> Prediction:
        """Another noise, and the image that goes with it."""
        return replace(self, x0=(self.x_t - self.sigma * eps) / self.alpha)

    def scored(self) -> Prediction:
        """The score added to the noise (ADM, arXiv 2105.05233, algorithm 2)."""
        if self.score is None:
            return self
        return replace(self.with_eps(self.eps - self.sigma * self.score), score=None)


class Denoiser(Protocol):
    """What samplers ask: image and noise in x_t at each row's step of a schedule."""

    def __call__(self, x_t: Images, steps: Int[Tensor, " b"]) -> Prediction: ...


# An image from a network's output, x_t, alpha and sigma.
Read = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# eps: the noise (DDPM). x0: the image. v: alpha eps - sigma x0 (arXiv 2202.00512, appendix D).
# flow: eps - x0, the speed along the straight path (rectified flow, arXiv 2209.03003).
READ: dict[str, Read] = {
    "eps": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / alpha,
    "x0": lambda out, x_t, alpha, sigma: out,
    "v": lambda out, x_t, alpha, sigma: (alpha * x_t - sigma * out) / (alpha**2 + sigma**2),
    "flow": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / (alpha + sigma),
}


def target(
    kind: str, x_0: Images, eps: Images, schedule: Schedule, steps: Int[Tensor, " b"]
) -> Images:
    """What a network of this kind should say."""
    alpha, sigma = at(schedule.alpha, steps, x_0), at(schedule.sigma, steps, x_0)
    return {"eps": eps, "x0": x_0, "v": alpha * eps - sigma * x_0, "flow": eps - x_0}[kind]


def read(
    kind: str,
    out: Float[Tensor, "b k h w"],
    x_t: Images,
    schedule: Schedule,
    steps: Int[Tensor, " b"],
) -> Prediction:
    """A network's output understood.

    Args:
        kind: one of `READ`.
        out: as many channels as `x_t`, or twice as many: then the second half says where between
            the two bounds the logarithm of the step's variance lies, from -1 to 1 (improved DDPM,
            arXiv 2102.09672, equation 15).
        x_t: what the network saw.
        schedule: of the steps.
        steps: one a row.

    Raises:
        UsageError: for an unknown kind or another number of channels.
    """
    if kind not in READ:
        raise UsageError(f"there is no prediction={kind}", f"use one of {', '.join(READ)}")
    if out.shape[1] not in (x_t.shape[1], 2 * x_t.shape[1]):
        raise UsageError(
            f"a network's output has {out.shape[1]} channels for images of {x_t.shape[1]}",
            "give it as many, or twice as many to learn the variance",
        )
    alpha, sigma = at(schedule.alpha, steps, x_t), at(schedule.sigma, steps, x_t)
    mean, *rest = out.split(x_t.shape[1], dim=1)
    x0 = READ[kind](mean, x_t, alpha, sigma)
    log_variance = _learned(rest[0], schedule, steps) if rest else None
    return Prediction(x0, x_t, alpha, sigma, log_variance)


def _learned(share: Images, schedule: Schedule, steps: Int[Tensor, " b"]) -> Images:
    upper = at(schedule.betas.log(), steps, share)
    lower = at(schedule.posterior_log_variance, steps, share)
    part = (share + 1) / 2
    return part * upper + (1 - part) * lower


@dataclass(frozen=True)
class Step:
    """The Gaussian over the x before.

    Attributes:
        mean: of it.
        log_variance: of each of its numbers.
    """

    mean: Images
    log_variance: Images


def step_back(prediction: Prediction, schedule: Schedule, steps: Int[Tensor, " b"]) -> Step:
    """p(x before | x_t): the posterior given the predicted image (DDPM, equations 6 and 7).

    A variance that is not learned is the posterior's; a score shifts the mean by as much as the
    variance allows (ADM, arXiv 2105.05233, algorithm 1).
    """
    x_t = prediction.x_t
    mean = at(schedule.posterior_x0, steps, x_t) * prediction.x0
    mean = mean + at(schedule.posterior_xt, steps, x_t) * x_t
    log_variance = prediction.log_variance
    if log_variance is None:
        log_variance = at(schedule.posterior_log_variance, steps, x_t).expand_as(x_t)
    if prediction.score is not None:
        mean = mean + log_variance.exp() * prediction.score
    return Step(mean, log_variance)


def noised(
    x_0: Images, eps: Images, schedule: Schedule, steps: Int[Tensor, " b"]
) -> Images:
    """x_t: alpha_t x_0 + sigma_t eps."""
    return torch.addcmul(
        at(schedule.alpha, steps, x_0) * x_0, at(schedule.sigma, steps, x_0), eps
    )
