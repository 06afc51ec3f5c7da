"""Image files of any origin, as models see them: upright, 8 bit, RGB on white.

One reader for all: images of a data folder, and images and masks that a command is given. No
format that runs programs is decoded, and what is too large is not decoded at all.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from pathlib import Path
from typing import IO, cast

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageOps, UnidentifiedImageError

from genzoo.data.source import Damaged, Pixels

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
SIXTEEN_BITS = 65535.0
ORIENTATION = 0x0112  # a tag of EXIF and TIFF
SAMPLE_FORMAT, SIGNED = 339, 2  # a TIFF's tag for what its numbers are


def read(path: Path, *, max_pixels: int) -> Image.Image:
    """An image as its camera meant it, with 8 bits a channel and its transparency.

    Raises:
        Damaged: where it is no plain file, larger than `max_pixels`, or cannot be decoded.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise Damaged("is a folder" if path.is_dir() else "is no plain file")
        # By an open file: of a named one Pillow maps TIFFs into memory, and those that are to
        # be turned with wrong sides.
        with path.open("rb") as file:
            return decode(file, name=str(path), max_pixels=max_pixels)
    except FileNotFoundError as error:
        raise Damaged("there is no such file") from error
    except OSError as error:
        if error.errno is not None:
            raise Damaged(os.strerror(error.errno).lower()) from error
        raise _undecoded(error, str(path)) from error


def decode(file: io.BufferedIOBase, *, name: str, max_pixels: int) -> Image.Image:
    """As `read`, of an open file.

    Args:
        file: to read, from where it stands; it can be wound back.
        name: of the file, which is no part of an error's reason.
        max_pixels: of an image; a larger one is not decoded.

    Raises:
        Damaged: where it is larger than `max_pixels`, or cannot be decoded.
    """
    try:
        with warnings.catch_warnings():
            # Its own limit is checked below; warnings about odd metadata help nobody here.
            warnings.simplefilter("ignore")
            with Image.open(cast("IO[bytes]", file), formats=FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise Damaged(f"{image.width} x {image.height} pixels are too many")
                image.load()  # some are turned by that
                shallow = _eight_bits(image)
                shallow.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
                upright: Image.Image = ImageOps.exif_transpose(shallow)
                return upright
    except Damaged:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise Damaged(f"cannot be decoded: it is none of {known}, or damaged") from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:
            raise Damaged(os.strerror(error.errno).lower()) from error
        raise _undecoded(error, name) from error


def on_white(image: Image.Image) -> Image.Image:
    """Any mode of image as RGB; what is transparent becomes white."""
    image = _eight_bits(image)
    if _transparent(image):
        image = _straight(image)
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def painted(mask: Image.Image) -> Bool[np.ndarray, "h w"]:
    """Where a mask asks for something: True where it is white, or painted on transparent ground.

    On transparent ground all that is painted counts, in whatever colour; where both white and
    black are painted, only what is white.
    """
    mask = _eight_bits(mask)
    light = np.asarray(on_white(mask).convert("L")) > 127
    if not _transparent(mask):
        return light
    straight = np.asarray(_straight(mask))
    opaque = straight[..., 3] > 127
    if opaque.all():
        return light
    colours = np.asarray(Image.fromarray(straight[..., :3]).convert("L"))[opaque]
    both = (colours < 64).any() and (colours > 191).any()
    return opaque & light if both else opaque


def square(image: Image.Image, size: int) -> Pixels:
    """The central square of an image at `size` x `size` pixels, antialiased."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cut first: the filter of `resize(box=...)` takes in pixels from beyond the box.
    centre = image.crop((left, top, left + side, top + side))
    return np.array(centre.resize((size, size), Image.Resampling.BICUBIC))


def _undecoded(error: Exception, name: str) -> Damaged:
    reason = " ".join(str(error).split()) or type(error).__name__
    return Damaged(f"cannot be decoded: {reason.replace(name, Path(name).name)}")


def _transparent(image: Image.Image) -> bool:
    return image.mode in WITH_ALPHA or "transparency" in image.info


def _straight(image: Image.Image) -> Image.Image:
    """RGBA, of an image that has transparency."""
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _white(image: Image.Image) -> float | None:
    """The number that means white, where channels have more than 8 bits; None where they have 8.

    32-bit and float files do not say it: then it is 1 (floats only), 255, 65535 or the largest
    number of 32 bits, the first that the image's values stay below. Floats may pass it by as
    much again, as resized ones do at sharp edges.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return SIXTEEN_BITS
    if image.mode not in ("I", "F"):
        return None
    values = _values(image)
    largest = float(values.max(initial=0.0, where=np.isfinite(values)))
    if image.mode == "F":
        return next(
            (white for white in (1.0, 255.0, SIXTEEN_BITS) if largest <= 2 * white), largest
        )
    bits = 31 if _signed(image) else 32
    return next(white for white in (255.0, SIXTEEN_BITS, 2.0**bits - 1) if largest <= white)


def _values(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "I" and not _signed(image):
        values = values.view(np.uint32)  # Pillow keeps them as signed ones
    return values.astype(np.float64)


def _signed(image: Image.Image) -> bool:
    if image.format != "TIFF":
        return bool((np.asarray(image) < 0).any())
    return SIGNED in getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, ())


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image with 8 bits a channel, its transparency kept."""
    white = _white(image)
    transparent = image.info.get("transparency")
    if white is not None:
        values = _values(image)
        scaled = (np.nan_to_num(values, nan=0.0, posinf=white) * (255 / white)).clip(0, 255)
        grey = Image.fromarray(scaled.round().astype(np.uint8))
        if isinstance(transparent, int):
            grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype("u1")))
        return grey
    if isinstance(transparent, tuple) and max(transparent) > 255:  # 16 bits; the pixels have 8
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    return image
