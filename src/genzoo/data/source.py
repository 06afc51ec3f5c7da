"""What a source of captioned images offers; every other file of `data` sees only this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

Pixels = UInt8[np.ndarray, "h w 3"]


class Damaged(Exception):
    """One image cannot be used; it is skipped, counted and named in the cache's report.

    Args:
        reason: why, in a few words without a full stop.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class Item:
    """One image with its captions, before it is rendered.

    Attributes:
        key: its name within the source, unique and the same on every machine.
        captions: one text or more, each of which describes the image.
        label: its class as a position in the source's `label_names`, or -1 for none.
        group: items of one group lie in the same split, because they look (nearly) alike.
        split: the split that the source itself puts it into, or None to decide by hash.
        attributes: what is known to be in the image, as plain data, or None.
    """

    key: str
    captions: tuple[str, ...]
    group: str
    label: int = -1
    split: str | None = None
    attributes: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.captions, str) or not self.captions:
            raise TypeError(f"{self.key}: captions={self.captions!r} is no tuple of texts")

    @property
    def caption(self) -> str:
        """The first of its captions."""
        return self.captions[0]


@runtime_checkable
class Source(Protocol):
    """Captioned images that can be drawn at any size."""

    @property
    def name(self) -> str:
        """What the data are called in tables and in the cache's file names."""

    @property
    def attribution(self) -> str | None:
        """What has to be shown beside the images by their licence, or None."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes' names; empty where there are no classes."""

    def fingerprint(self) -> str:
        """Changes whenever the images may; cheap, since every start asks for it."""

    def items(self) -> Sequence[Item]:
        """Every item, in an order that does not change."""

    def render(self, i: int, size: int) -> Pixels:
        """The i-th item at `size` x `size` pixels.

        Raises:
            Damaged: when this image cannot be used.
        """


@runtime_checkable
class GroundTruth(Protocol):
    """A source that can check an image against a caption from its pixels."""

    @property
    def caption_parts(self) -> tuple[str, ...]:
        """The parts of a caption that are checked."""

    def score_caption(self, image: Pixels, attributes: Mapping[str, Any]) -> dict[str, bool]:
        """Whether each part that the caption has is right.

        Args:
            image: the picture.
            attributes: of the caption's item.
        """
