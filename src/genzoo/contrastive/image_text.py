"""The interface of models of images and text, and CLIP as a scorer.

Shape letters: b batch, c channels, h height, w width, k features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.types import Condition
from genzoo.diffusion.schedule import NoiseLevel

Images = Float[Tensor, "b c h w"]


@runtime_checkable
class ImageTextModel(Protocol):
    """A CLIP with its tokenizer."""

    @property
    def about(self) -> dict[str, Any]:
        """Which CLIP with which weights, for stamps; plain data."""

    @property
    def noise_aware(self) -> bool:
        """Whether it takes noisy images and their noise level."""

    @property
    def image_size(self) -> int:
        """Height and width of the images that it was trained on; others are resized."""

    @property
    def scale(self) -> float:
        """The inverse temperature that it was trained with."""

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "b k"]:
        """Unit vectors; a caption that is too long is truncated."""

    def encode_image(
        self, images: Images, level: NoiseLevel | None = None
    ) -> Float[Tensor, "b k"]:
        """Unit vectors of images in [-1, 1], or of x_t if the model is noise-aware.

        Differentiable with respect to the images.

        Args:
            images: of any size that the model takes.
            level: of the noise; None for clean ones.
        """

    def to(self, device: torch.device | str) -> ImageTextModel:
        """Itself, on another device."""

    def is_truncated(self, captions: Sequence[str]) -> Bool[Tensor, " b"]:
        """Which captions are longer than the context."""


@dataclass(frozen=True)
class CLIPScorer:
    """CLIP as the classifier of classifier guidance (GLIDE, arXiv 2112.10741, section 2.4).

    Attributes:
        kind: what `guidance.scorer` calls it.
        image_text: whose similarity guides: of x_t if it is noise-aware, else of the predicted
            image.
    """

    kind: ClassVar[str] = "clip"
    image_text: ImageTextModel

    @property
    def noise_aware(self) -> bool:
        """Whether it scores x_t, rather than the image predicted from it."""
        return self.image_text.noise_aware

    def log_likelihood(
        self, cond: Condition
    ) -> Callable[[Images, NoiseLevel], Float[Tensor, " b"]]:
        """The scaled similarity to each caption; captions are encoded once."""
        texts = self.image_text.encode_text(cond.caption)

        def similarity(images: Images, level: NoiseLevel) -> Float[Tensor, " b"]:
            seen = self.image_text.encode_image(images, level if self.noise_aware else None)
            return self.image_text.scale * (seen * texts).sum(dim=1)

        return similarity


def as_scorer(found: object) -> object:
    """The scorer for guidance: a `CLIPScorer` of an `ImageTextModel`, else the model itself."""
    return CLIPScorer(found) if isinstance(found, ImageTextModel) else found


def as_image_text_model(found: object, *, word: str) -> ImageTextModel:
    """A scorer as a model of images and text.

    Args:
        found: a scorer.
        word: its name, for the message.

    Raises:
        UsageError: for a scorer of another kind.
    """
    if not isinstance(found, ImageTextModel):
        raise UsageError(
            f"{word} is no CLIP but a {type(found).__name__}",
            "name another, or train one: model=clip",
        )
    return found
