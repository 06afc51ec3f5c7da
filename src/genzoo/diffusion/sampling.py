"""How to sample: a sampler, its steps, and the thresholding of predicted images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.diffusion import sampler, wrappers
from genzoo.diffusion.predict import Denoiser, Images
from genzoo.diffusion.sampler import Normal, Sampler
from genzoo.diffusion.schedule import NoiseLevel, Schedule

SAMPLERS: dict[str, Sampler] = {
    "ddpm": sampler.ancestral,
    "ddim": sampler.ddim,
    "dpm_solver": sampler.dpm_solver,
    "heun": sampler.heun,
}

LEAST = 0.01  # of alpha / sigma, for a scorer to be evaluated


@dataclass(frozen=True)
class Sampling:
    """The section `sampler` of the configuration.

    Attributes:
        method: one of `SAMPLERS`.
        steps: number of steps; for a discrete process also a choice of steps (see `respace`).
        eta: share of fresh noise in each step of ddim.
        threshold: of predicted images: to [-1, 1], by a quantile, or none.
        quantile: of an image's absolute values, for `threshold="dynamic"`.
        temperature: scale of the initial noise.

    Raises:
        UsageError: for an unknown sampler.
    """

    method: str
    steps: int | str
    eta: float = 0.0
    threshold: Literal["static", "dynamic", "none"] = "static"
    quantile: float = 0.995
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in SAMPLERS:
            raise UsageError(
                f"there is no sampler={self.method}", f"use one of {', '.join(SAMPLERS)}"
            )

    def __str__(self) -> str:
        words = [self.method, f"{self.steps} steps"]
        if self.method == "ddim" and self.eta:
            words.append(f"eta {self.eta:g}")
        if self.threshold != "static":
            words.append(f"threshold {self.threshold}")
        if self.temperature != 1:
            words.append(f"temperature {self.temperature:g}")
        return ", ".join(words)

    def thresholded(self, denoise: Denoiser) -> Denoiser:
        """The denoiser with thresholding."""
        if self.threshold == "dynamic":
            return wrappers.dynamic_threshold(denoise, quantile=self.quantile)
        return wrappers.static_threshold(denoise) if self.threshold == "static" else denoise

    def guided(
        self,
        denoise: Denoiser,
        likelihood: wrappers.LogLikelihood,
        schedule: Schedule,
        *,
        noise_aware: bool,
    ) -> Denoiser:
        """The denoiser with a likelihood's gradient (ADM, arXiv 2105.05233, section 4).

        Ancestral steps shift their mean by it. Other samplers add it to the predicted image, which
        is then thresholded again. At pure noise they do without: divided by alpha, the gradient
        would be noise.
        """
        if self.method == "ddpm":
            return wrappers.score_guidance(
                denoise, likelihood=likelihood, noise_aware=noise_aware, schedule=schedule
            )

        def where_there_is_an_image(images: Images, level: NoiseLevel) -> Tensor:
            there = (level.alpha > LEAST * level.sigma).flatten()
            return torch.where(there, likelihood(images, level), 0.0)

        with_score = wrappers.score_guidance(
            denoise,
            likelihood=where_there_is_an_image,
            noise_aware=noise_aware,
            schedule=schedule,
        )
        return self.thresholded(lambda x_t, step: with_score(x_t, step).apply_score())

    def sample(
        self, denoise: Denoiser, *, start: Images, schedule: Schedule, noise: Normal
    ) -> Images:
        """Images from standard normal noise `start`."""
        method: Callable[..., object] = SAMPLERS[self.method]
        if self.method == "ddim":
            method = partial(sampler.ddim, eta=self.eta)
        x = start * (self.temperature * schedule.sigma[-1])
        return sampler.final(method(denoise, x, schedule, noise))  # type: ignore[arg-type]
