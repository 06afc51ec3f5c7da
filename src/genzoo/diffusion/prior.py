"""unCLIP's prior (Ramesh et al., arXiv 2204.06125, section 2.2): from captions to CLIP embeddings.

An embedding is treated as an image of one pixel with k channels, so that processes, samplers and
guidance are those of images.

Shape letters: b batch, k of an embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.noise import Noise
from genzoo.core.types import Losses
from genzoo.diffusion import wrappers
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.prior_network import PriorCondition, PriorNetwork
from genzoo.diffusion.process import Process
from genzoo.diffusion.sampling import Sampling
from genzoo.diffusion.schedule import Schedule


class Prior(nn.Module):
    """p(CLIP embedding of an image | caption), by diffusion.

    Args:
        network: arguments of `PriorNetwork` beside those that CLIP decides.
        process: what it is trained on.
        features: k, the size of an embedding.
        token: size of a token's vector.
        context: tokens a caption.
        drop: share of captions dropped in training (arXiv 2204.06125, section 2.2).
        steps: of sampling.
        scale: of its classifier-free guidance; 1 is off.
        draws: embeddings sampled for each caption; the one that fits it best is kept.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        process: Process,
        features: int,
        token: int,
        context: int,
        drop: float,
        steps: int,
        scale: float,
        draws: int,
    ) -> None:
        super().__init__()
        self.process, self.drop, self.scale, self.draws = process, drop, scale, draws
        self.sampler = Sampling("ddpm", steps=steps, threshold="none")
        self.network = PriorNetwork(features=features, token=token, context=context, **network)

    def losses(
        self, condition: PriorCondition, vectors: Float[Tensor, "b k"], *, noise: Noise
    ) -> Losses:
        """The squared error of the predicted embedding."""
        kept = (noise.child("drop").uniform(1) >= self.drop).to(vectors.dtype)
        dropped = replace(condition, kept=kept)
        x_0 = vectors[..., None, None]
        return self.process.losses(
            lambda z, times: self.network(z, times, dropped), x_0, noise=noise
        )

    def sample(self, condition: PriorCondition, *, noise: Noise) -> Float[Tensor, "b k"]:
        """Embeddings of unit variance, the best of `draws` for each caption."""
        found = torch.stack(
            [self._sample_once(condition, noise=noise.child("draw", k)) for k in range(self.draws)]
        )
        fit = (found * condition.embedding).sum(dim=2)  # cosines, as all have the same length
        return found[fit.argmax(dim=0), torch.arange(len(noise), device=found.device)]

    def _sample_once(self, condition: PriorCondition, *, noise: Noise) -> Float[Tensor, "b k"]:
        schedule = self.process.schedule(self.sampler.steps)
        denoise = wrappers.classifier_free(
            _Denoiser(self.network, self.process, schedule, condition),
            scale=self.scale,
            schedule=schedule,
        )
        features = condition.embedding.shape[1]
        sampled = self.sampler.sample(
            denoise,
            start=noise.child("start").normal(features, 1, 1),
            schedule=schedule,
            noise=noise.child("steps"),
        )
        return F.normalize(sampled.flatten(1).float(), dim=1) * math.sqrt(features)


@dataclass(frozen=True)
class _Denoiser:
    """The prior's network with its condition, in the form that samplers call."""

    network: Callable[[Tensor, Tensor, PriorCondition], Tensor]
    process: Process
    schedule: Schedule
    condition: PriorCondition

    def __call__(self, x_t: Tensor, step: int) -> Prediction:
        return self._predict(x_t, step, self.condition)

    def with_and_without_condition(self, x_t: Tensor, step: int) -> tuple[Prediction, Prediction]:
        """With the condition and without it, in one batched evaluation."""
        condition = self.condition.cat(self.condition.unconditional())
        together = self._predict(x_t.repeat(2, 1, 1, 1), step, condition)
        return together[: len(x_t)], together[len(x_t) :]

    def _predict(self, x_t: Tensor, step: int, condition: PriorCondition) -> Prediction:
        def network(x: Tensor, times: Tensor) -> Tensor:
            return self.network(x, times, condition)

        return self.process.predict(network, x_t, self.schedule, step)
