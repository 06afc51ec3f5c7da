"""What families with a latent space share: variations, interpolations and edits of images.

An image is represented by its caption's features and a residual: the part of its latent that the
caption leaves open. Variations mix another residual in; interpolations move both; edits keep the
residual and move the features. DALL-E 2 does the same with CLIP's embedding and the inverted noise
(arXiv 2204.06125, section 3).

Shape letters: f features of a caption, d size of a residual.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.models.base import Endpoint, GenerativeModel, identity, interpolate_points


class LatentModel(GenerativeModel):
    """A family whose images are decoded from a caption's features and a residual.

    A subclass encodes captions, and images to residuals and back; `variations`, `interpolate` and
    `text_diff` are built on that, as far as its `capabilities` go.
    """

    @abstractmethod
    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        """Features of the captions; none (f = 0) for an unconditional family."""

    @abstractmethod
    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """The residual of each image given its caption; `from_residual` inverts this."""

    @abstractmethod
    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        """Residuals of random samples, with mean zero."""

    @abstractmethod
    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The images of residuals and features.

        Args:
            residual: of each image.
            features: of its caption.
            sampled: share of the residual's variance that was sampled, from 0 for given images to
                1 for samples; for families that correct their samples afterwards.
            guidance: as for `sample`.
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
        """The own residual mixed with a sampled one; the shares of their variances add up to 1.

        At full strength nothing is left of the image: the variations are samples.
        """
        if not self.capabilities.variations:
            return super().variations(
                images, cond, strength=strength, noise=noise, guidance=guidance
            )
        _unguided(guidance)
        features = self.encode_condition(cond)
        own, sampled = (
            self.residual_latent(images, features),
            self.sample_residual(features, noise=noise),
        )
        mixed = math.sqrt(1 - strength**2) * own + strength * sampled
        return self.from_residual(mixed, features, sampled=strength**2)

    def interpolate(
        self,
        start: Endpoint,
        end: Endpoint,
        shape: tuple[int, int, int],
        steps: int,
        *,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Residuals and features are both interpolated.

        Sampled residuals lie near a sphere, and their interpolation is spherical; that of given
        images is linear.
        """
        kinds = {"captions" if place.images is None else "images" for place in (start, end)}
        if not kinds <= self.capabilities.interpolate:
            return super().interpolate(start, end, shape, steps, guidance=guidance)
        sampled = kinds == {"captions"}
        if not sampled:
            _unguided(guidance)
        features = self.encode_condition(start.cond), self.encode_condition(end.cond)
        residuals = [
            self.sample_residual(
                encoded, noise=place.noise[:]
            )  # from its start: endpoints may share it
            if place.images is None
            else self.residual_latent(place.images, encoded)
            for place, encoded in zip((start, end), features, strict=True)
        ]
        return self._along(
            interpolate_points(residuals[0], residuals[1], steps, spherical=sampled),
            interpolate_points(*features, steps),
            sampled=float(sampled),
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
        """The residual given the source is kept, the features move towards the target."""
        if not self.capabilities.text_diff:
            return super().text_diff(
                images, source, target, steps, strength=strength, noise=noise, guidance=guidance
            )
        _unguided(guidance)
        first, last = self.encode_condition(source), self.encode_condition(target)
        own = self.residual_latent(images, first)
        path = interpolate_points(first, torch.lerp(first, last, strength), steps)
        return self._along(own[:, None].expand(-1, steps, -1), path)

    def _along(
        self,
        residuals: Float[Tensor, "b steps d"],
        features: Float[Tensor, "b steps f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """The images of every interpolation."""
        images = self.from_residual(
            residuals.flatten(0, 1), features.flatten(0, 1), sampled=sampled, guidance=guidance
        )
        interpolations: Tensor = images.unflatten(0, residuals.shape[:2])
        return interpolations


def _unguided(guidance: Any) -> None:
    """Refuse guidance, with which a residual no longer decodes to its image."""
    if guidance is not identity:
        raise Unsupported("guidance would change a given image by itself", "write guidance=none")
