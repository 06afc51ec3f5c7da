"""What families with a latent space share: versions of images, ways between them, edits.

To them an image is what its caption says, in features that can be mixed, and an offset: all that
the caption leaves open. Versions mix other offsets in; ways move both; edits keep the offset and
move the features. So DALL-E 2 treats CLIP's embedding and the noise that an image is inverted to
(arXiv 2204.06125, section 3), the other way round: there the noise is what is kept or lost.

Shape letters: f features of a caption, d numbers of an offset.
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
    """A family whose images follow from a caption's features and an offset.

    It says how to read captions and how to come from images to offsets and back; `variations`,
    `interpolate` and `text_diff` follow, as far as its `capabilities` go.
    """

    @abstractmethod
    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        """Features of the captions; none (f = 0) for a family that reads none."""

    @abstractmethod
    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """What each image is beyond its caption; `from_residual` leads back to it."""

    @abstractmethod
    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        """Offsets as random samples have them, with mean zero."""

    @abstractmethod
    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The images of offsets and features.

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
        """The own offset mixed with a drawn one; their variances' shares add up to 1.

        At full strength nothing is left of the image: the versions are samples.
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
        """Offsets and captions' features both move, all the way.

        Drawn offsets lie near a sphere and move along it; those of images go straight.
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
            )  # from its beginning: ends may share it
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
        """The offset from the one caption kept, the features moved towards the other."""
        if not self.capabilities.text_diff:
            return super().text_diff(
                images, source, target, steps, strength=strength, noise=noise, guidance=guidance
            )
        _unguided(guidance)
        first, last = self.encode_condition(source), self.encode_condition(target)
        own = self.residual_latent(images, first)
        way = interpolate_points(first, torch.lerp(first, last, strength), steps)
        return self._along(own[:, None].expand(-1, steps, -1), way)

    def _along(
        self,
        residuals: Float[Tensor, "b steps d"],
        features: Float[Tensor, "b steps f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """The images on every way."""
        images = self.from_residual(
            residuals.flatten(0, 1), features.flatten(0, 1), sampled=sampled, guidance=guidance
        )
        ways: Tensor = images.unflatten(0, residuals.shape[:2])
        return ways


def _unguided(guidance: Any) -> None:
    """Refuse guidance, with which the way back from a given image's offset leads elsewhere."""
    if guidance is not identity:
        raise Unsupported("guidance would change a given picture by itself", "write guidance=none")
