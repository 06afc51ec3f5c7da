"""Pictures that a person hands to a command."""

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

LARGEST = 64_000_000  # pixels of a picture


def open_picture(path: str | Path) -> Pixels:
    """A picture upright on white, in its own size.

    Raises:
        UsageError: for a file that is none, or too large a one.
    """
    return np.array(pictures.on_white(_read(path)))


def open_mask(path: str | Path) -> Bool[np.ndarray, "h w"]:
    """What a mask asks to be redrawn: see `pictures.painted`.

    Raises:
        UsageError: as `open_picture`.
    """
    return pictures.painted(_read(path))


def open_square(path: str | Path, size: int) -> UInt8[Tensor, "3 h w"]:
    """A picture of any shape as models learn from a folder of them.

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
