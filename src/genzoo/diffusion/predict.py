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
    """What a denoiser says at x_t.

    Attributes:
        x0: the image without noise.
        eps: the noise, so that x_t = alpha_t x0 + sigma_t eps.
        log_variance: of the x before given x_t, where it is learned.
        score: gradient of what the sample is to be made likelier for, with respect to x_t; each
            sampler adds it in its own way (`scored`, or a shift of the mean).
    """

    x0: Images
    eps: Images
    log_variance: Images | None = None
    score: Images | None = None

    def with_x0(
        self, x0: Images, x_t: Images, schedule: Schedule, steps: Int[Tensor, " b"]
    ) -> Prediction:
        """Another image, and the noise that goes with it."""
        eps = (x_t - at(schedule.alpha, steps, x_t) * x0) / at(schedule.sigma, steps, x_t)
        return replace(self, x0=x0, eps=eps)

    def with_eps(
        self, eps: Images, x_t: Images, schedule: Schedule, steps: Int[Tensor, " b"]
    ) -> Prediction:
        """Another noise, and the image that goes with it."""
        x0 = (x_t - at(schedule.sigma, steps, x_t) * eps) / at(schedule.alpha, steps, x_t)
        return replace(self, x0=x0, eps=eps)


    def scored(
        self, x_t: Images, schedule: Schedule, steps: Int[Tensor, " b"]
    ) -> Prediction:
        """The score added to the noise (ADM, arXiv 2105.05233, algorithm 2)."""
        if self.score is None:
            return self
        eps = self.eps - at(schedule.sigma, steps, x_t) * self.score
        return replace(self.with_eps(eps, x_t, schedule, steps), score=None)


class Denoiser(Protocol):
    """What samplers ask: image and noise in x_t at each row's step of a schedule."""

    def __call__(self, x_t: Images, steps: Int[Tensor, " b"]) -> Prediction: ...


Read = Callable[[Images, Images, Tensor, Tensor], tuple[Images, Images]]


def _from_eps(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    return (x_t - sigma * out) / alpha, out


def _from_x0(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    return out, (x_t - alpha * out) / sigma


def _from_v(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    size = alpha**2 + sigma**2  # 1 where the variance is kept
    return (alpha * x_t - sigma * out) / size, (sigma * x_t + alpha * out) / size


def _from_flow(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    size = alpha + sigma  # 1 on the straight path
    return (x_t - sigma * out) / size, (x_t + alpha * out) / size


# eps: the noise (DDPM). x0: the image. v: alpha eps - sigma x0 (arXiv 2202.00512, appendix D).
# flow: eps - x0, the speed along the straight path (rectified flow, arXiv 2209.03003).
READ: dict[str, Read] = {"eps": _from_eps, "x0": _from_x0, "v": _from_v, "flow": _from_flow}


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
    x0, eps = READ[kind](mean, x_t, alpha, sigma)
    return Prediction(x0, eps, _learned(rest[0], schedule, steps) if rest else None)


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


def step_back(
    prediction: Prediction, x_t: Images, schedule: Schedule, steps: Int[Tensor, " b"]
) -> Step:
    """p(x before | x_t): the posterior given the predicted image (DDPM, equations 6 and 7).

    A variance that is not learned is the posterior's; a score shifts the mean by as much as the
    variance allows (ADM, arXiv 2105.05233, algorithm 1).
    """
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
