"""Pictures that a person hands to a command."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from genzoo.data.folder import FORMATS, on_white, square
from genzoo.errors import UsageError

LARGEST = 64_000_000  # pixels of a picture


def open_picture(path: str) -> Image.Image:
    """A picture, turned as its camera meant it.

    Raises:
        UsageError: for a file that is none, or too large a one.
    """
    try:
        with warnings.catch_warnings():
            # Its own limit is checked below; warnings about odd metadata help nobody here.
            warnings.simplefilter("ignore")
            with Image.open(Path(path).expanduser(), formats=FORMATS) as picture:
                if picture.width * picture.height > LARGEST:
                    raise UsageError(f"{path} has more than {LARGEST:,} pixels", "make it smaller")
                turned: Image.Image = ImageOps.exif_transpose(picture)
                turned.load()
                return turned
    except UsageError:
        raise
    except Exception as error:  # decoders of damaged files raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"cannot read {path} ({reason})", "name a PNG or JPEG file") from error


def open_square(path: str, size: int) -> UInt8[Tensor, "3 h w"]:
    """A picture of any shape as models learn from a folder of them.

    Upright on white, cut to its central square and resized to `size` x `size` pixels.

    Raises:
        UsageError: as `open_picture`.
    """
    return channels_first(square(on_white(open_picture(path)), size))


def channels_first(pixels: np.ndarray) -> UInt8[Tensor, "3 h w"]:
    """Pixels (h, w, 3) as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
