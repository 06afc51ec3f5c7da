"""The image files that a command is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.data import pictures
from genzoo.data.source import Damaged, Pixels

LARGEST = 64_000_000  # pixels of an image


def open_picture(path: str | Path) -> Pixels:
    """An image, upright and on white, in its own size.

    Raises:
        UsageError: for a file that is none, or too large a one.
    """
    return np.array(pictures.on_white(_read(path)))


def open_mask(path: str | Path) -> Bool[np.ndarray, "h w"]:
    """The part of a mask that is to be sampled: see `pictures.painted`.

    Raises:
        UsageError: as `open_picture`.
    """
    return pictures.painted(_read(path))


def open_square(path: str | Path, size: int) -> UInt8[Tensor, "3 h w"]:
    """An image of any shape, prepared as those of `data=folder`.

    Upright on white, cut to its central square and resized to `size` x `size` pixels.

    Raises:
        UsageError: as `open_picture`.
    """
    return channels_first(pictures.square(pictures.on_white(_read(path)), size))


def channels_first(pixels: np.ndarray) -> UInt8[Tensor, "3 h w"]:
    """Pixels (h, w, 3) as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _read(path: str | Path) -> Image.Image:
    try:
        return pictures.read(Path(str(path)).expanduser(), max_pixels=LARGEST)
    except Damaged as damage:
        raise UsageError(
            f"cannot read {path} ({damage.reason})",
            f"name a PNG or JPEG file of at most {LARGEST // 10**6} million pixels",
        ) from damage
