"""Images that a command or a call is given: files, PIL images, arrays and tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.data import pictures
from genzoo.data.folder import ENDINGS
from genzoo.data.source import Damaged, Pixels

LARGEST = 64_000_000  # pixels of an image

# A file; a PIL image of any mode; an array (h, w, 3) or (h, w) or a tensor (3, h, w) of uint8.
# Floats are refused: [0, 1] is as usual as [-1, 1], and nothing tells them apart.
Picture: TypeAlias = str | Path | Image.Image | np.ndarray | Tensor
OVERVIEWS = ("grid.png", "strip.png")  # of all images, which tasks write beside them
# Several of them, in a list, as one array (n, h, w, 3) or tensor (n, 3, h, w), or in a folder.
Pictures: TypeAlias = str | Path | np.ndarray | Tensor | Iterable[Picture]


def open_picture(image: Picture) -> Pixels:
    """An image, upright and on white, in its own size.

    Raises:
        UsageError: for what is none, or too large a one.
    """
    return np.array(pictures.on_white(_opened(image)))


def open_mask(mask: Picture) -> Bool[np.ndarray, "h w"]:
    """The part of a mask that is to be sampled: see `pictures.painted`.

    Arrays and tensors may hold booleans, or 0 and 1 alone, with or without a channel.

    Raises:
        UsageError: as `open_picture`.
    """
    if isinstance(mask, np.ndarray | Tensor):
        plane = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
        if plane.ndim == 3 and 1 in (plane.shape[0], plane.shape[2]):
            plane = plane[0] if plane.shape[0] == 1 else plane[..., 0]
        if plane.ndim == 2 and np.isin(plane, (0, 1)).all():
            return plane.astype(bool)
        if plane.dtype.kind == "f":
            raise UsageError(
                "a mask of floats holds other numbers than 0 and 1", "give booleans: mask > 0.5"
            )
    return pictures.painted(_opened(mask))


def open_square(image: Picture, size: int) -> UInt8[Tensor, "3 h w"]:
    """An image of any shape, prepared as those of `data=folder`.

    Upright on white, cut to its central square and resized to `size` x `size` pixels.

    Raises:
        UsageError: as `open_picture`.
    """
    return channels_first(pictures.square(pictures.on_white(_opened(image)), size))


def each(images: Pictures) -> Iterator[Picture]:
    """The images of a list, an array, a tensor or a folder, in the order of its files' names.

    The overviews that tasks write beside their images (grid.png, strip.png) are left out.

    Raises:
        UsageError: for a folder without images, or a single image.
    """
    if isinstance(images, str | Path):
        folder = Path(images).expanduser()
        files = [
            file
            for file in sorted(folder.glob("*"))
            if file.suffix.lower() in ENDINGS and file.name not in OVERVIEWS
        ]
        if folder.is_file():
            raise UsageError(f"{folder} is a file", "put one image in a list: [file]")
        if not files:
            raise UsageError(f"there are no images in {folder}", "name a folder of PNG files")
        yield from files
    elif isinstance(images, np.ndarray | Tensor):
        if images.ndim != 4:
            raise UsageError(
                f"one array of shape {tuple(images.shape)} is no list of images",
                "give (n, h, w, 3) as an array, (n, 3, h, w) as a tensor, or a list",
            )
        yield from images
    elif isinstance(images, Image.Image) or not isinstance(images, Iterable):
        raise UsageError(
            f"{type(images).__name__} is no list of images", "put it in a list: [image]"
        )
    else:
        yield from images


def channels_first(pixels: np.ndarray) -> UInt8[Tensor, "3 h w"]:
    """Pixels (h, w, 3) as a tensor."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _opened(image: Picture) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if isinstance(image, Tensor):
        return _of_array(_channels_last(image))
    if not isinstance(image, str | Path):
        raise UsageError(
            f"{type(image).__name__} is no image", "give a file, a PIL image, array or tensor"
        )
    return _read(image)


def _channels_last(image: Tensor) -> np.ndarray:
    image = image.detach().cpu()
    if image.is_floating_point():
        raise _of_floats(image.dtype)
    return np.asarray(image.movedim(0, -1) if image.ndim == 3 else image)


def _of_array(pixels: np.ndarray) -> Image.Image:
    if pixels.dtype.kind == "f":
        raise _of_floats(pixels.dtype)
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        raise UsageError(
            f"an array of {pixels.dtype} of shape {pixels.shape} is no image",
            "give 8-bit pixels (uint8): (h, w, 3) as an array, (3, h, w) as a tensor",
        )
    plane = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return Image.fromarray(np.ascontiguousarray(plane))


def _of_floats(dtype: object) -> UsageError:
    return UsageError(
        f"an image of floats ({dtype}) does not say what black and white are",
        "convert it: genzoo.data.to_uint8(image, value_range=(0, 1)), or (-1, 1)",
    )


def _read(path: str | Path) -> Image.Image:
    try:
        return pictures.read(Path(str(path)).expanduser(), max_pixels=LARGEST)
    except Damaged as damage:
        raise UsageError(
            f"cannot read {path} ({damage.reason})",
            f"name a PNG or JPEG file of at most {LARGEST // 10**6} million pixels",
        ) from damage
