"""unCLIP's image manipulations (Ramesh et al., arXiv 2204.06125, section 3).

An image is represented by its CLIP embedding and the noise of its DDIM inversion, which keeps what
the embedding does not hold. Variations change the noise, interpolations move both, and edits by
captions rotate the embedding.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.diffusion.guidance import scale_guidance
from genzoo.diffusion.sampling import Sampling
from genzoo.models.base import Endpoint, GenerativeModel, identity, interpolate_points
from genzoo.models.clip import CLIP, unit
from genzoo.models.diffusion import Diffusion, captionless

INVERSION = 50  # steps of the inversion, and of sampling from its noise


class Manipulation(GenerativeModel):
    """A family whose images are decoded from a CLIP embedding and noise.

    A subclass samples embeddings; `variations`, `interpolate` and `text_diff` are built on that.

    Attributes:
        clip: whose embeddings they are.
        decoder: the diffusion model of images given an embedding.
    """

    clip: CLIP
    decoder: Diffusion

    @abstractmethod
    def sample_embedding(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b k"]:
        """Unit vectors that are sampled for captions."""

    @abstractmethod
    def check_decoder(self) -> None:
        """Refuse images where the decoder has not been trained.

        Raises:
            Unsupported: with how to train it.
        """

    def variations(
        self,
        images: Float[Tensor, "b c h w"],
        cond: Condition,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Images of the same embedding, from other noise (arXiv 2204.06125, section 3.1).

        The inverted noise is mixed with fresh noise; the shares of their variances add up to 1.
        `strength` is also DDIM's eta, and the share of the guidance.
        """
        self.check_decoder()
        cond = self.with_embedding(cond, images)
        own = self.decoder.invert(cond, images, steps=INVERSION)
        fresh = noise.child("start").normal(*images.shape[1:])
        start = math.sqrt(1 - strength**2) * own + strength * fresh
        return self._reconstruct(
            cond, start, eta=strength, noise=noise, guidance=scale_guidance(guidance, strength)
        )

    def interpolate(
        self,
        start: Endpoint,
        end: Endpoint,
        shape: tuple[int, int, int],
        steps: int,
        *,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Spherical interpolation of embeddings and of noise (arXiv 2204.06125, section 3.2).

        The interpolation of text features is linear. Between given images there is no guidance.
        """
        self.check_decoder()
        if start.images is not None:
            guidance = identity
        conds, noises = zip(*(self._place(place, shape) for place in (start, end)), strict=True)
        return self._along(
            interpolate_points(conds[0].embedding, conds[1].embedding, steps, spherical=True),
            interpolate_points(noises[0].flatten(1), noises[1].flatten(1), steps, spherical=True),
            conds,
            shape,
            noise=start.noise,
            guidance=guidance,
        )

    def text_diff(
        self,
        images: Float[Tensor, "b c h w"],
        source: Condition,
        target: Condition,
        steps: int,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """The embedding rotated towards the captions' difference (arXiv 2204.06125, section 3.3).

        By half of the angle to it at full strength, as beyond that little is left of the image.
        The inverted noise is kept, and the decoder is given no caption. Guidance grows with the
        steps.
        """
        self.check_decoder()
        cond = self.with_embedding(captionless(source), images)
        own = self.decoder.invert(cond, images, steps=INVERSION).flatten(1)
        texts = [self.clip.encode_text(c.tokens, c.token_mask) for c in (source, target)]
        direction = unit(texts[1] - texts[0])
        assert cond.embedding is not None
        return self._along(
            interpolate_points(
                cond.embedding, direction, steps, spherical=True, until=strength / 2
            ),
            own[:, None].expand(-1, steps, -1),
            (cond, captionless(target)),
            (images.shape[1], images.shape[2], images.shape[3]),
            noise=noise,
            guidance=guidance,
            growing=strength,
        )

    def _place(
        self, place: Endpoint, shape: tuple[int, int, int]
    ) -> tuple[Condition, Float[Tensor, "b c h w"]]:
        """The condition with its embedding, and the noise, of an endpoint."""
        if place.images is not None:
            cond = self.with_embedding(place.cond, place.images)
            return cond, self.decoder.invert(cond, place.images, steps=INVERSION)
        sampled = self.sample_embedding(place.cond, noise=place.noise)
        start = place.noise.child("decoder").child("start").normal(*shape)
        return replace(place.cond, embedding=sampled), start

    def _along(
        self,
        embeddings: Float[Tensor, "b steps k"],
        starts: Float[Tensor, "b steps d"],
        conds: tuple[Condition, Condition],
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any,
        growing: float | None = None,
    ) -> Float[Tensor, "b steps c h w"]:
        """The images of every interpolation, step by step.

        Guidance is at full scale throughout, or grows from none to the share `growing`.
        """
        count = embeddings.shape[1]
        found = []
        for k in range(count):
            vectors, share = unit(embeddings[:, k]), k / max(count - 1, 1)
            found.append(
                self._reconstruct(
                    replace(conds[0], embedding=vectors),
                    starts[:, k].unflatten(1, shape),
                    blend=(replace(conds[1], embedding=vectors), share),
                    noise=noise,
                    guidance=guidance
                    if growing is None
                    else scale_guidance(guidance, share * growing),
                )
            )
        return torch.stack(found, dim=1)

    def _reconstruct(
        self,
        cond: Condition,
        start: Float[Tensor, "b c h w"],
        *,
        noise: Noise,
        guidance: Any,
        eta: float = 0.0,
        blend: tuple[Condition, float] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """DDIM samples from this noise, in as many steps as the inversion has."""
        shape = (start.shape[1], start.shape[2], start.shape[3])
        return self.decoder.sample_from(
            cond,
            shape,
            noise=noise,
            guidance=guidance,
            start=start,
            blend=blend,
            sampler=replace(self.inversion_sampler, eta=eta),
        )

    @property
    def inversion_sampler(self) -> Sampling:
        sampling = self.sampler or Sampling("ddim", steps=INVERSION)
        return replace(sampling, method="ddim", steps=INVERSION, eta=0.0, temperature=1.0)
