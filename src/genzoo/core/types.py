"""The types that data, models and metrics exchange: frozen dataclasses of tensors.

Shape letters used here and in the models: b batch, c channels, h height, w width, l tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from genzoo.core.conditions import given

LikelihoodKind = Literal["exact", "bound"]


@dataclass(frozen=True)
class Condition:
    """What samples are conditioned on.

    Attributes:
        caption: the text itself, one per sample.
        tokens: the text's token numbers, padded to the context length.
        token_mask: True where a token belongs to the text, False where it is padding.
        label: class numbers from 0, or -1 where the data has no classes.
        low_res: the same image at a smaller size, for models that upsample it; else None.
        embedding: CLIP's unit vector of the image, for models conditioned on it; else None.
    """

    caption: tuple[str, ...]
    tokens: Int[Tensor, "b l"]
    token_mask: Bool[Tensor, "b l"]
    label: Int[Tensor, " b"]
    low_res: Float[Tensor, "b c i j"] | None = None
    embedding: Float[Tensor, "b k"] | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, rows: slice) -> Condition:
        return self._each(self.caption[rows], lambda value: value[rows])

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Condition:
        """Move the tensors to a device."""
        return self._each(self.caption, lambda value: value.to(device, non_blocking=non_blocking))

    def repeat(self, count: int) -> Condition:
        """The batch repeated `count` times."""
        return self._each(
            self.caption * count, lambda value: value.repeat(count, *[1] * (value.ndim - 1))
        )

    def _each(self, caption: tuple[str, ...], change: Callable[[Tensor], Tensor]) -> Condition:
        """All tensors mapped by the same function."""
        tensors = (self.tokens, self.token_mask, self.label)
        optional = (self.low_res, self.embedding)
        return Condition(
            caption,
            *(change(value) for value in tensors),
            *(None if value is None else change(value) for value in optional),
        )


@dataclass(frozen=True)
class Captions:
    """All captions of some images.

    Attributes:
        tokens: of each caption, padded to the context length.
        token_mask: True where a token belongs to the text.
        row: the place in the batch of each caption's image, ascending.
    """

    tokens: Int[Tensor, "m l"]
    token_mask: Bool[Tensor, "m l"]
    row: Int[Tensor, " m"]

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def each(self, change: Callable[[Tensor], Tensor]) -> Captions:
        """All tensors mapped by the same function."""
        return Captions(change(self.tokens), change(self.token_mask), change(self.row))


@dataclass(frozen=True)
class Batch:
    """A batch of captioned images, as every model gets it from the datamodule.

    Attributes:
        image: pixels in [-1, 1].
        caption: the text itself.
        tokens: token numbers, padded to the context length.
        token_mask: True where a token belongs to the text.
        label: class numbers from 0, or -1 where the data has no classes.
        index: the image's number in the data set; with the run's seed it seeds the image's noise.
        captions: all captions of the images, where they are wanted for retrieval; else None.
    """

    image: Float[Tensor, "b c h w"]
    caption: tuple[str, ...]
    tokens: Int[Tensor, "b l"]
    token_mask: Bool[Tensor, "b l"]
    label: Int[Tensor, " b"]
    index: Int[Tensor, " b"]
    captions: Captions | None = None

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def all_captions(self) -> Captions:
        """All captions of the images, or the one of each where no others came with it."""
        if self.captions is not None:
            return self.captions
        rows = torch.arange(len(self), device=self.tokens.device)
        return Captions(self.tokens, self.token_mask, rows)

    @property
    def condition(self) -> Condition:
        """Everything but the image."""
        return Condition(self.caption, self.tokens, self.token_mask, self.label)

    def to(
        self,
        device: torch.device | str,
        dtype: torch.dtype | None = None,
        *,
        non_blocking: bool = False,
    ) -> Batch:
        """Move to a device; `dtype` applies to the image alone (Lightning calls it like this)."""
        image = self.image.to(device, dtype or self.image.dtype, non_blocking=non_blocking)
        return self._each(image, lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """A copy in pinned memory, for asynchronous transfers to a GPU."""
        return self._each(self.image.pin_memory(), lambda value: value.pin_memory())

    def _each(self, image: Tensor, change: Callable[[Tensor], Tensor]) -> Batch:
        """Another image, and all other tensors mapped by the same function."""
        return replace(
            self,
            image=image,
            tokens=change(self.tokens),
            token_mask=change(self.token_mask),
            label=change(self.label),
            index=change(self.index),
            captions=None if self.captions is None else self.captions.each(change),
        )


@dataclass(frozen=True)
class Losses:
    """Named losses, one value an image, so that a mean can be taken over any part of a batch.

    Attributes:
        total: what is minimised.
        parts: its terms, and other values for the learning curves.
    """

    total: Float[Tensor, " b"]
    parts: dict[str, Float[Tensor, " b"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Capabilities:
    """What a model can do; read by the configuration check and by the comparison.

    Attributes:
        conditions: what it can be conditioned on, of ``{"text", "label", "low_res",
            "embedding"}``.
        samplers: whether it samples with a `sampler=`.
        guidance: the guidance modes it takes, beside ``"none"``.
        likelihood: whether `log_prob` is exact, a lower bound, or absent (None).
        reconstruct: whether it has `encode`, and so maps an image to itself through a latent.
        latent: whether it has `sample_latent` and `decode`, so that latents can be interpolated.
        variations: whether it has `variations`, and so samples variations of an image.
        interpolate: the endpoints that its `interpolate` takes, of ``{"images", "captions"}``.
        text_diff: whether it has `text_diff`, and so edits images by two captions' difference.
        sampling: how it samples, in a few words for a table; None for a model without samples.
        strategies: the distributed strategies under which it can be trained.
    """

    sampling: str | None
    conditions: frozenset[str] = frozenset()
    samplers: bool = False
    guidance: frozenset[str] = frozenset()
    likelihood: LikelihoodKind | None = None
    reconstruct: bool = False
    latent: bool = False
    variations: bool = False
    interpolate: frozenset[str] = frozenset()
    text_diff: bool = False
    strategies: frozenset[str] = frozenset({"auto", "ddp", "fsdp"})

    @property
    def given(self) -> str:
        """What a model is given besides caption and class when it is measured, in words."""
        return given(self.conditions)
