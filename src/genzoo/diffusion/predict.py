"""What a network's output says about the image, the noise and the step back.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.diffusion.schedule import NoiseLevel, Schedule
from genzoo.diffusion.table import Steps

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
            sampler adds it in its own way (`apply_score`, or a shift of the mean).
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

    def detached(self) -> Prediction:
        """The same numbers without the way they came about."""
        variance = None if self.log_variance is None else self.log_variance.detach()
        return replace(self, x0=self.x0.detach(), log_variance=variance)

    def with_x0(self, x0: Images) -> Prediction:
        """Another image."""
        return replace(self, x0=x0)

    def apply_score(self) -> Prediction:
        """The score as part of the image (ADM, arXiv 2105.05233, algorithm 2)."""
        if self.score is None:
            return self
        # What the algorithm takes from the noise, said of the image; pure noise has no alpha.
        shift = self.sigma**2 / self.alpha.clamp(min=1e-6) * self.score
        return replace(self.with_x0(self.x0 + shift), score=None)


@runtime_checkable
class Denoiser(Protocol):
    """What samplers ask: image and noise in x_t at a step of a schedule.

    All rows are at the same step, and Python counts: nothing has to be read off a device.
    """

    def __call__(self, x_t: Images, step: int) -> Prediction: ...


# An image from a network's output, x_t, alpha and sigma.
ToImage = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# eps: the noise (DDPM). x0: the image. v: alpha eps - sigma x0 (arXiv 2202.00512, appendix D).
# flow: eps - x0, the speed along the straight path (rectified flow, arXiv 2209.03003).
TO_X0: dict[str, ToImage] = {
    "eps": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / alpha,
    "x0": lambda out, x_t, alpha, sigma: out,
    "v": lambda out, x_t, alpha, sigma: (alpha * x_t - sigma * out) / (alpha**2 + sigma**2),
    "flow": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / (alpha + sigma),
}


def target(kind: str, x_0: Images, eps: Images, level: NoiseLevel) -> Images:
    """What a network of this kind should say."""
    if kind == "v":
        return level.alpha * eps - level.sigma * x_0
    return {"eps": eps, "x0": x_0, "flow": eps - x_0}[kind]


def to_prediction(kind: str, out: Images, x_t: Images, level: NoiseLevel) -> Prediction:
    """The image that a network's output means.

    Raises:
        UsageError: for an unknown kind.
    """
    if kind not in TO_X0:
        raise UsageError(f"there is no prediction={kind}", f"use one of {', '.join(TO_X0)}")
    x0 = TO_X0[kind](out, x_t, level.alpha, level.sigma)
    return Prediction(x0, x_t, level.alpha, level.sigma)


def to_prediction_with_variance(
    kind: str,
    out: Float[Tensor, "b k h w"],
    x_t: Images,
    schedule: Schedule,
    steps: Steps,
) -> Prediction:
    """The image, and the variance of the step back, from an output with twice the channels.

    The second half says where between the two bounds the logarithm of the variance lies, from -1
    to 1 (improved DDPM, arXiv 2102.09672, equation 15).

    Raises:
        UsageError: where there are not twice as many channels.
    """
    channels = x_t.shape[1]
    if out.shape[1] != 2 * channels:
        raise UsageError(
            f"a network's output has {out.shape[1]} channels for images of {channels}",
            "it needs twice as many to learn the variance",
        )
    mean, share = out.split(channels, dim=1)
    prediction = to_prediction(kind, mean, x_t, schedule.level(steps, x_t))
    upper = schedule.log_betas.broadcast_at(steps, x_t)
    lower = schedule.posterior_log_variance.broadcast_at(steps, x_t)
    part = (share + 1) / 2
    return replace(prediction, log_variance=part * upper + (1 - part) * lower)


@dataclass(frozen=True)
class Step:
    """The Gaussian over the x before.

    Attributes:
        mean: of it.
        log_variance: of each of its numbers.
    """

    mean: Images
    log_variance: Images


def posterior(prediction: Prediction, schedule: Schedule, steps: Steps) -> Step:
    """p(x before | x_t): the posterior given the predicted image (DDPM, equations 6 and 7).

    A variance that is not learned is the posterior's; a score shifts the mean by as much as the
    variance allows (ADM, arXiv 2105.05233, algorithm 1).
    """
    x_t = prediction.x_t
    mean = schedule.posterior_x0.broadcast_at(steps, x_t) * prediction.x0
    mean = mean + schedule.posterior_xt.broadcast_at(steps, x_t) * x_t
    log_variance = prediction.log_variance
    if log_variance is None:
        log_variance = schedule.posterior_log_variance.rows(steps, x_t).expand_as(x_t)
    if prediction.score is not None:
        mean = mean + log_variance.exp() * prediction.score
    return Step(mean, log_variance)


def add_noise(x_0: Images, eps: Images, level: NoiseLevel) -> Images:
    """x_t: alpha x_0 + sigma eps."""
    return torch.addcmul(level.alpha * x_0, level.sigma, eps)
