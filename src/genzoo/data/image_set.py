"""A set of images that any program has written, read one by one, and in batches."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data import pictures
from genzoo.data.input_images import LARGEST, channels_first
from genzoo.data.source import Pixels

RESIZING = "central square, bicubic, antialiased"  # of `Resized`, in stamps


class ImageSet(ABC):
    """Images in an order that does not change.

    Attributes:
        path: of the folder or file.
        keys: a name for each image, unique; some images may turn out to be damaged.
        others: how many files beside them are no images.
        skipped: the reason by name, of the damaged ones that were met so far.
    """

    def __init__(self, path: Path, keys: Sequence[str], *, others: int = 0) -> None:
        self.path, self.keys, self.others = path, list(keys), others
        self.skipped: dict[str, str] = {}
        if not self.keys:
            raise UsageError(
                f"there are no images in {path}",
                "name a folder or a .zip of images, or a .npz with an array arr_0",
            )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def name(self) -> str:
        """What it is called: after its folder or file."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.stem

    @property
    def ordered(self) -> bool:
        """Whether names sorted as text and by the numbers in them give one order."""
        return self.keys == sorted(self.keys, key=_by_number)

    @abstractmethod
    def images(self) -> Iterator[tuple[str, Pixels]]:
        """Name and pixels (h, w, 3) of each; damaged images are skipped.

        Raises:
            UsageError: where the whole file turns out to be damaged.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Of the files' content; it reads all of it and decodes nothing."""


class Resized(ImageSet):
    """The central squares of images at one size, antialiased as those of `data=folder` are.

    Args:
        of: the images.
        size: pixels of a side.

    Attributes:
        changed: how many of those read so far had another size.
    """

    def __init__(self, of: ImageSet, size: int) -> None:
        super().__init__(of.path, of.keys, others=of.others)
        self.of, self.size, self.skipped = of, size, of.skipped
        self.changed = 0

    def images(self) -> Iterator[tuple[str, Pixels]]:  # noqa: D102
        self.changed = 0
        for key, pixels in self.of.images():
            if pixels.shape[:2] != (self.size, self.size):
                self.changed += 1
                pixels = pictures.square(Image.fromarray(pixels), self.size)
            yield key, pixels

    def fingerprint(self) -> str:  # noqa: D102
        return f"{self.of.fingerprint()} at {self.size}"


def check_skipped(images: ImageSet, *, most: float) -> None:
    """Refuse a set of which too large a share was damaged.

    Args:
        images: all of them read.
        most: the share, in [0, 1], that is put up with.

    Raises:
        GenzooError: names the first one.
    """
    bad = images.skipped
    if len(bad) > most * len(images) or len(bad) == len(images):
        first = next(iter(bad))
        raise GenzooError(
            f"{len(bad)} of the {len(images)} images in {images.path} cannot be used, "
            f"the first {first}: {bad[first]}",
            "mend or remove them, or allow a larger share with max_skipped=<0 to 1>",
        )


@dataclass(frozen=True)
class ImageBatch:
    """Images of one size.

    Attributes:
        first: the number of the first one among all that could be read.
        keys: their names.
        pixels: 8 bit.
    """

    first: int
    keys: tuple[str, ...]
    pixels: UInt8[Tensor, "b 3 h w"]


def batches(images: ImageSet, size: int) -> Iterator[ImageBatch]:
    """All images of a set, at most `size` at once.

    Where sizes change a batch ends, and it holds `LARGEST` pixels at most.

    Raises:
        UsageError: where the whole file turns out to be damaged.
    """
    keys: list[str] = []
    held: list[Tensor] = []
    done = 0
    for key, pixels in images.images():
        image = channels_first(pixels)
        room = len(held) < size and (len(held) + 1) * image[0].numel() <= LARGEST
        if held and (held[0].shape != image.shape or not room):
            yield ImageBatch(done, tuple(keys), torch.stack(held))
            done += len(held)
            keys, held = [], []
        keys.append(key)
        held.append(image)
    if held:
        yield ImageBatch(done, tuple(keys), torch.stack(held))


def _by_number(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
