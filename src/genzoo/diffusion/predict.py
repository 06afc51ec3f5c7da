"""From a network's output to a prediction of image, noise and posterior.

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
    """A denoiser's prediction at x_t = alpha x0 + sigma eps.

    Attributes:
        x0: the predicted image.
        x_t: the noisy image.
        alpha: weight of the image in x_t, one a row.
        sigma: weight of the noise in x_t, one a row.
        log_variance: of p(x_{t-1} | x_t), if it is learned.
        score: gradient of a scorer's log-likelihood with respect to x_t; samplers add it to x0
            (`apply_score`) or shift the mean.
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
        """The predicted noise."""
        return (self.x_t - self.alpha * self.x0) / self.sigma

    def detached(self) -> Prediction:
        """The same prediction without its graph."""
        variance = None if self.log_variance is None else self.log_variance.detach()
        return replace(self, x0=self.x0.detach(), log_variance=variance)

    def with_x0(self, x0: Images) -> Prediction:
        """The prediction with another image."""
        return replace(self, x0=x0)

    def apply_score(self) -> Prediction:
        """The prediction with the score added to x0 (ADM, arXiv 2105.05233, algorithm 2)."""
        if self.score is None:
            return self
        # The algorithm shifts eps; this is the same shift of x0. Alpha of pure noise is zero.
        shift = self.sigma**2 / self.alpha.clamp(min=1e-6) * self.score
        return replace(self.with_x0(self.x0 + shift), score=None)


@runtime_checkable
class Denoiser(Protocol):
    """What samplers call: predicts the image in x_t at a step of a schedule.

    All rows are at the same step, a Python number, so that no device is synchronised with.
    """

    def __call__(self, x_t: Images, step: int) -> Prediction: ...


# An image from a network's output, x_t, alpha and sigma.
ToImage = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

# eps: the noise (DDPM). x0: the image. v: alpha eps - sigma x0 (arXiv 2202.00512, appendix D).
# flow: eps - x0, the velocity along the straight path (rectified flow, arXiv 2209.03003).
TO_X0: dict[str, ToImage] = {
    "eps": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / alpha,
    "x0": lambda out, x_t, alpha, sigma: out,
    "v": lambda out, x_t, alpha, sigma: (alpha * x_t - sigma * out) / (alpha**2 + sigma**2),
    "flow": lambda out, x_t, alpha, sigma: (x_t - sigma * out) / (alpha + sigma),
}


def target(kind: str, x_0: Images, eps: Images, level: NoiseLevel) -> Images:
    """The training target of a network with this kind of prediction."""
    if kind == "v":
        return level.alpha * eps - level.sigma * x_0
    return {"eps": eps, "x0": x_0, "flow": eps - x_0}[kind]


def to_prediction(kind: str, out: Images, x_t: Images, level: NoiseLevel) -> Prediction:
    """The prediction from a network's output.

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
    """The prediction of image and posterior variance from an output with twice the channels.

    The second half interpolates the log-variance between its two bounds, from -1 to 1 (improved
    DDPM, arXiv 2102.09672, equation 15).

    Raises:
        UsageError: for another number of channels.
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
    """The Gaussian p(x_{t-1} | x_t).

    Attributes:
        mean: of each element.
        log_variance: of each element.
    """

    mean: Images
    log_variance: Images


def posterior(prediction: Prediction, schedule: Schedule, steps: Steps) -> Step:
    """p(x_{t-1} | x_t): the posterior given the predicted image (DDPM, equations 6 and 7).

    A variance that is not learned is the true posterior's; a score, times the variance, shifts the
    mean (ADM, arXiv 2105.05233, algorithm 1).
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
