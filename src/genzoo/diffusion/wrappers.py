"""Wrappers of denoisers: guidance, thresholding and inpainting.

The innermost denoiser is a network. It is wrapped, in this order and each optional, by
classifier-free guidance, thresholding, inpainting, and the score of a classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.precision import unscaled
from genzoo.diffusion.predict import Denoiser, Images, Prediction
from genzoo.diffusion.schedule import NoiseLevel, Schedule

LogLikelihood = Callable[[Images, NoiseLevel], Float[Tensor, " b"]]


@runtime_checkable
class ConditionalDenoiser(Denoiser, Protocol):
    """A denoiser that also predicts without its condition."""

    def with_and_without_condition(self, x_t: Images, step: int) -> tuple[Prediction, Prediction]:
        """With the condition and without it, in one batched evaluation of the network."""


def classifier_free(
    denoise: ConditionalDenoiser,
    *,
    scale: float,
    schedule: Schedule,
    interval: Sequence[float] = (0.0, 1.0),
) -> Denoiser:
    """Guided noise u + s (c - u) (Ho & Salimans, arXiv 2207.12598); s = 1 evaluates once.

    Args:
        denoise: with and without the condition.
        scale: s.
        schedule: of the steps.
        interval: of shares of noise, sigma^2 / (alpha^2 + sigma^2), in which guidance is on
            (arXiv 2404.07724).
    """
    if scale == 1.0:
        return denoise

    def guided(x_t: Images, step: int) -> Prediction:
        if not interval[0] <= schedule.share[step] <= interval[1]:
            return denoise(x_t, step)
        c, u = denoise.with_and_without_condition(x_t, step)
        return c.with_x0(u.x0 + scale * (c.x0 - u.x0))

    return guided


def static_threshold(denoise: Denoiser) -> Denoiser:
    """Predicted images are clamped to [-1, 1]."""

    def thresholded(x_t: Images, step: int) -> Prediction:
        prediction = denoise(x_t, step)
        return prediction.with_x0(prediction.x0.clamp(-1, 1))

    return thresholded


def dynamic_threshold(denoise: Denoiser, *, quantile: float) -> Denoiser:
    """Predicted images are clamped to a quantile above 1 and divided by it (Imagen, section 2.3).

    arXiv 2205.11487.
    """

    def thresholded(x_t: Images, step: int) -> Prediction:
        prediction = denoise(x_t, step)
        sizes = prediction.x0.abs().flatten(1).float()
        limit = sizes.quantile(quantile, dim=1).clamp(min=1.0).view(-1, 1, 1, 1)
        limit = limit.to(x_t.dtype)
        return prediction.with_x0(prediction.x0.clamp(-limit, limit) / limit)

    return thresholded


def inpainting(denoise: Denoiser, *, image: Images, mask: Float[Tensor, "b 1 h w"]) -> Denoiser:
    """The known part of the predicted image is replaced; `mask` is 1 where it is known."""

    def filled(x_t: Images, step: int) -> Prediction:
        prediction = denoise(x_t, step)
        return prediction.with_x0(prediction.x0 * (1 - mask) + image * mask)

    return filled


def score_guidance(
    denoise: Denoiser, *, likelihood: LogLikelihood, noise_aware: bool, schedule: Schedule
) -> Denoiser:
    """Predictions with the gradient of a log-likelihood with respect to x_t as their score.

    Args:
        denoise: differentiated as well unless the likelihood is noise-aware.
        likelihood: log-likelihood of each row.
        noise_aware: whether it is of x_t, or of the predicted image.
        schedule: of the steps.
    """

    def with_score(x_t: Images, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        prediction = denoise(x_t, step) if noise_aware else None
        with torch.enable_grad(), unscaled(x_t):
            x = x_t.detach().requires_grad_()
            if prediction is None:
                prediction = denoise(x, step)
            scored = x if noise_aware else prediction.x0
            (slope,) = torch.autograd.grad(likelihood(scored, level).sum(), x)
        return replace(prediction.detached(), x_t=x_t, score=slope)

    return with_score
