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
from genzoo.models.base import End, GenerativeModel, identity, interpolate


class LatentModel(GenerativeModel):
    """A family whose images follow from a caption's features and an offset.

    It says how to read captions and how to come from images to offsets and back; `vary`,
    `between` and `textdiff` follow, as far as its `capabilities` go.
    """

    @abstractmethod
    def read(self, cond: Condition) -> Float[Tensor, "b f"]:
        """Features of the captions; none (f = 0) for a family that reads none."""

    @abstractmethod
    def offset(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """What each image is beyond its caption; `from_offset` leads back to it."""

    @abstractmethod
    def draw_offset(self, features: Float[Tensor, "b f"], *, noise: Noise) -> Float[Tensor, "b d"]:
        """Offsets as random samples have them, with mean zero."""

    @abstractmethod
    def from_offset(
        self,
        offset: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        drawn: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The images of offsets and features.

        Args:
            offset: of each image.
            features: of its caption.
            drawn: share of the offset's variance that was drawn, from 0 for given images to 1 for
                samples; for families that mend their samples afterwards.
            guidance: as for `sample`.
        """

    def vary(
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
        if not self.capabilities.vary:
            return super().vary(images, cond, strength=strength, noise=noise, guidance=guidance)
        _unguided(guidance)
        features = self.read(cond)
        own, drawn = self.offset(images, features), self.draw_offset(features, noise=noise)
        mixed = math.sqrt(1 - strength**2) * own + strength * drawn
        return self.from_offset(mixed, features, drawn=strength**2)

    def between(
        self,
        start: End,
        end: End,
        shape: tuple[int, int, int],
        steps: int,
        *,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Offsets and captions' features both move, all the way.

        Drawn offsets lie near a sphere and move along it; those of images go straight.
        """
        kinds = {"captions" if place.images is None else "images" for place in (start, end)}
        if not kinds <= self.capabilities.between:
            return super().between(start, end, shape, steps, guidance=guidance)
        drawn = kinds == {"captions"}
        if not drawn:
            _unguided(guidance)
        features = self.read(start.cond), self.read(end.cond)
        offsets = [
            self.draw_offset(read, noise=place.noise[:])  # from its beginning: ends may share it
            if place.images is None
            else self.offset(place.images, read)
            for place, read in zip((start, end), features, strict=True)
        ]
        return self._along(
            interpolate(offsets[0], offsets[1], steps, spherical=drawn),
            interpolate(*features, steps),
            drawn=float(drawn),
            guidance=guidance,
        )

    def textdiff(
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
        if not self.capabilities.textdiff:
            return super().textdiff(
                images, source, target, steps, strength=strength, noise=noise, guidance=guidance
            )
        _unguided(guidance)
        first, last = self.read(source), self.read(target)
        own = self.offset(images, first)
        way = interpolate(first, torch.lerp(first, last, strength), steps)
        return self._along(own[:, None].expand(-1, steps, -1), way)

    def _along(
        self,
        offsets: Float[Tensor, "b steps d"],
        features: Float[Tensor, "b steps f"],
        *,
        drawn: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """The images on every way."""
        images = self.from_offset(
            offsets.flatten(0, 1), features.flatten(0, 1), drawn=drawn, guidance=guidance
        )
        ways: Tensor = images.unflatten(0, offsets.shape[:2])
        return ways


def _unguided(guidance: Any) -> None:
    """Refuse guidance, with which the way back from a given image's offset leads elsewhere."""
    if guidance is not identity:
        raise Unsupported("guidance would change a given picture by itself", "write guidance=none")
