"""Processes: how training adds noise, and what a network predicts.

A network is a function of x_t and the time; the caller closes over its other inputs.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Losses
from genzoo.diffusion.likelihood import vlb_term
from genzoo.diffusion.predict import (
    TO_X0,
    Images,
    Prediction,
    add_noise,
    target,
    to_prediction,
    to_prediction_with_variance,
)
from genzoo.diffusion.schedule import NoiseLevel, Schedule, respace

Network = Callable[[Images, Shaped[Tensor, " b"]], Tensor]


class Process(ABC):
    """The forward process of training, which samplers reverse.

    Attributes:
        outputs: output channels for each channel of the image.
        bounded: whether there is a useful variational bound of the likelihood.
    """

    outputs: int = 1
    bounded: bool = False

    @abstractmethod
    def levels(self, x_0: Images, *, noise: Noise) -> NoiseLevel:
        """A random noise level for each image in training."""

    @abstractmethod
    def losses(self, network: Network, x_0: Images, *, noise: Noise) -> Losses:
        """The training objective of each image at a random time."""

    @abstractmethod
    def schedule(self, steps: int | str) -> Schedule:
        """The times that sampling visits.

        Raises:
            UsageError: for an impossible number of steps.
        """

    @abstractmethod
    def predict(self, network: Network, x_t: Images, schedule: Schedule, step: int) -> Prediction:
        """The prediction of a network at a step of a schedule."""


class Discrete(Process):
    """DDPM's chain (arXiv 2006.11239), with the hybrid loss of improved DDPM (arXiv 2102.09672).

    Args:
        schedule: name of one of `SCHEDULES`.
        steps: of the whole chain.
        prediction: what a network predicts, one of `TO_X0`.
        learned_variance: whether it also predicts the variance of p(x_{t-1} | x_t).
        bound_weight: of the variational bound in the loss, which trains the variance alone
            (improved DDPM, section 3.1).
    """

    def __init__(
        self,
        *,
        schedule: str,
        steps: int,
        prediction: str,
        learned_variance: bool,
        bound_weight: float = 0.001,
    ) -> None:
        if prediction not in TO_X0:
            raise UsageError(
                f"there is no prediction={prediction}", f"use one of {', '.join(TO_X0)}"
            )
        self.steps = steps
        self.prediction, self.learned_variance = prediction, learned_variance
        self.bound_weight = bound_weight
        self.outputs = 2 if learned_variance else 1
        # A predicted image has about the same error at every step; at the smallest noise, with a
        # fixed variance, that makes the bound hundreds of bits.
        self.bounded = learned_variance or prediction != "x0"
        self.whole = Schedule.discrete(schedule, steps)

    def levels(self, x_0: Images, *, noise: Noise) -> NoiseLevel:
        return self.whole.level(self._times(noise), x_0)

    def losses(self, network: Network, x_0: Images, *, noise: Noise) -> Losses:
        t = self._times(noise)
        level = self.whole.level(t, x_0)
        eps, x_t = q_sample(x_0, level, noise=noise)
        out = network(x_t, level.time).float()
        output = out[:, : x_0.shape[1]]
        wanted = target(self.prediction, x_0, eps, level)
        error = (output - wanted).square().flatten(1).mean(1)
        parts = {"error": error}
        if not self.learned_variance:
            return Losses(error, parts)
        held = torch.cat([output.detach(), out[:, x_0.shape[1] :]], dim=1)
        prediction = to_prediction_with_variance(self.prediction, held, x_t, self.whole, t)
        # One term, so that its mean over times is the bound divided by `steps`.
        parts["bound"] = vlb_term(prediction, x_0, self.whole, t)
        return Losses(error + self.bound_weight * self.steps * parts["bound"], parts)

    def _times(self, noise: Noise) -> Int[Tensor, " b"]:
        return noise.child("time").integers(self.steps)

    def schedule(self, steps: int | str | Sequence[int]) -> Schedule:
        return self.whole.subset(respace(self.steps, str(steps)))

    def predict(self, network: Network, x_t: Images, schedule: Schedule, step: int) -> Prediction:
        out = network(x_t, schedule.times.as_input(step, x_t)).float()
        if self.learned_variance:
            return to_prediction_with_variance(self.prediction, out, x_t, schedule, step)
        return to_prediction(self.prediction, out, x_t, schedule.level(step, x_t))


class RectifiedFlow(Process):
    """The straight path x_t = (1 - t) x_0 + t eps (arXiv 2209.03003), with its velocity predicted.

    Args:
        spread: standard deviation of the logit of the times in training (Stable Diffusion 3, arXiv
            2403.03206, section 3.1).
        shift: factor by which times move towards noise (the same, section 5.3.2); larger images
            want more.
    """

    def __init__(self, *, spread: float = 1.0, shift: float = 1.0) -> None:
        self.spread, self.shift = spread, shift

    def levels(self, x_0: Images, *, noise: Noise) -> NoiseLevel:
        logit = self.spread * noise.child("time").normal() + math.log(self.shift)
        t = logit.sigmoid().to(x_0.dtype).view(-1, 1, 1, 1)
        return NoiseLevel(1 - t, t, 1000 * t.flatten())

    def losses(self, network: Network, x_0: Images, *, noise: Noise) -> Losses:
        level = self.levels(x_0, noise=noise)
        eps, x_t = q_sample(x_0, level, noise=noise)
        out = network(x_t, level.time).float()
        error = (out - target("flow", x_0, eps, level)).square().flatten(1).mean(1)
        return Losses(error, {"error": error})

    def schedule(self, steps: int | str) -> Schedule:
        t = np.linspace(0, 1, _count(steps) + 1)[1:]
        t = self.shift * t / (1 + (self.shift - 1) * t)
        return Schedule(1 - t, t, 1000 * t)

    def predict(self, network: Network, x_t: Images, schedule: Schedule, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        return to_prediction("flow", network(x_t, level.time).float(), x_t, level)


class EDM(Process):
    """Noise of any variance on unit-variance images, preconditioned (arXiv 2206.00364, table 1).

    Args:
        sigma_data: standard deviation of the images.
        mean: of the logarithm of sigma in training.
        spread: standard deviation of it.
        smallest: sigma of the last step of sampling.
        largest: sigma where sampling begins.
        rho: how much closer the steps lie at small sigmas.
    """

    def __init__(
        self,
        *,
        sigma_data: float = 0.5,
        mean: float = -1.2,
        spread: float = 1.2,
        smallest: float = 0.002,
        largest: float = 80.0,
        rho: float = 7.0,
    ) -> None:
        self.sigma_data, self.mean, self.spread = sigma_data, mean, spread
        self.smallest, self.largest, self.rho = smallest, largest, rho

    def levels(self, x_0: Images, *, noise: Noise) -> NoiseLevel:
        log_sigma = (self.mean + self.spread * noise.child("time").normal()).to(x_0.dtype)
        sigma = log_sigma.exp().view(-1, 1, 1, 1)
        return NoiseLevel(torch.ones_like(sigma), sigma, log_sigma / 4)

    def losses(self, network: Network, x_0: Images, *, noise: Noise) -> Losses:
        level = self.levels(x_0, noise=noise)
        _, x_t = q_sample(x_0, level, noise=noise)
        prediction = self._predict(network, x_t, level)
        sigma, size = level.sigma.flatten(), self.sigma_data
        weight = (sigma**2 + size**2) / (sigma * size) ** 2  # equation 7 and table 1
        error = weight * (prediction.x0 - x_0).square().flatten(1).mean(1)
        return Losses(error, {"error": error})

    def schedule(self, steps: int | str) -> Schedule:
        part = np.linspace(0, 1, _count(steps))
        low, high = self.smallest ** (1 / self.rho), self.largest ** (1 / self.rho)
        sigma = (low + part * (high - low)) ** self.rho  # equation 5, the least noisy first
        return Schedule(np.ones_like(sigma), sigma, np.log(sigma) / 4)

    def predict(self, network: Network, x_t: Images, schedule: Schedule, step: int) -> Prediction:
        return self._predict(network, x_t, schedule.level(step, x_t))

    def _predict(self, network: Network, x_t: Images, level: NoiseLevel) -> Prediction:
        sigma, size = level.sigma, self.sigma_data
        total = (sigma**2 + size**2).sqrt()
        out = network(x_t / total, 250 * level.time).float()
        x0 = (size / total) ** 2 * x_t + sigma * size / total * out
        return Prediction(x0, x_t, level.alpha, sigma)


def q_sample(x_0: Images, level: NoiseLevel, *, noise: Noise) -> tuple[Images, Images]:
    """A sample of the forward process: the noise, and the noisy images."""
    eps = noise.child("eps").normal(*x_0.shape[1:]).to(x_0.dtype)
    return eps, add_noise(x_0, eps, level)


def _count(steps: int | str) -> int:
    try:
        count = int(steps)
    except ValueError:
        raise UsageError(
            f"sampler.steps={steps} is for a discrete process", "give a number"
        ) from None
    if count < 2:
        raise UsageError(f"sampler.steps={steps} is too few", "give 2 or more")
    return count
