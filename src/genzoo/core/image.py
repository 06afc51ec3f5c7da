"""The only conversions between pixel ranges and formats: [-1, 1] <-> 8 bit, grids, PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from genzoo.core.files import whole


def to_float(pixels: UInt8[Tensor, "... h w"]) -> Float[Tensor, "... h w"]:
    """8-bit pixels to [-1, 1], as float32: 0 -> -1, 255 -> 1."""
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(image: Float[Tensor, "... h w"]) -> UInt8[Tensor, "... h w"]:
    """[-1, 1] to the nearest 8-bit value; values outside are clipped."""
    return image.float().add(1.0).mul(127.5).round().clamp_(0, 255).to(torch.uint8)


def requantised(image: Float[Tensor, "... h w"]) -> Float[Tensor, "... h w"]:
    """[-1, 1] rounded to the nearest 8-bit value, as in a saved image; nothing is clipped.

    GLIDE's upsampler begins with such images; halves are rounded to even numbers.
    """
    return ((image + 1) * 127.5).round() / 127.5 - 1


def grid(
    images: UInt8[Tensor, "n 3 h w"], *, columns: int, pad: int = 2, background: int = 255
) -> UInt8[Tensor, "3 gh gw"]:
    """Images in rows of `columns`, `pad` pixels apart."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    canvas = torch.full(
        (c, rows * (h + pad) + pad, columns * (w + pad) + pad), background, dtype=torch.uint8
    )
    for k, image in enumerate(images):
        top, left = pad + (k // columns) * (h + pad), pad + (k % columns) * (w + pad)
        canvas[:, top : top + h, left : left + w] = image
    return canvas


def save_png(
    path: str | Path,
    image: UInt8[Tensor, "3 h w"],
    *,
    text: Mapping[str, str] | None = None,
    scale: int = 1,
) -> None:
    """Write a PNG, `scale` times enlarged without smoothing, with `text` in its metadata.

    Raises:
        GenzooError: where the disk is full; no part of the file is left then.
    """
    saved = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))
    if scale > 1:
        saved = saved.resize((saved.width * scale, saved.height * scale), Image.Resampling.NEAREST)
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    with whole(Path(path), sync=False) as fresh:
        saved.save(fresh, format="PNG", pnginfo=info)
