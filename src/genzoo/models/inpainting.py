"""The families that can inpaint."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor

from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.models.base import GenerativeModel, identity


class CanInpaint(GenerativeModel):
    """A family of which some models are trained to inpaint.

    Attributes:
        inpainting: whether this one is.
    """

    inpainting: bool

    @abstractmethod
    def inpaint(
        self,
        cond: Condition,
        images: Float[Tensor, "b c h w"],
        known: Float[Tensor, "b 1 h w"],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The images with the unknown part sampled; the known part is kept exactly.

        Args:
            cond: as for `sample`; an upsampler also needs `low_res`, inpainted already.
            images: in [-1, 1].
            known: 1 where an image is known, 0 where it is sampled.
            noise: one stream an image.
            guidance: as for `sample`.

        Raises:
            Unsupported: for a model that was not trained to inpaint.
        """
