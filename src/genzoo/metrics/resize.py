"""The ways in which extractors bring images to their input size."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

HALF_PIXEL = "bilinear, half-pixel centres, antialiased where images shrink"
PILLOW = "bicubic with antialiasing, rounded to 8 bit, as Pillow"
TF1 = "bilinear as TensorFlow 1 (corner-aligned grid, no antialiasing)"


def resize_half_pixel(images: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c s s"]:
    """`HALF_PIXEL`: PyTorch's bilinear interpolation.

    Images that are larger than `size` are antialiased: without it most of their pixels would be
    left out, and what is small or fine in them with those.
    """
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return images
    return functional.interpolate(
        images,
        size=(size, size),
        mode="bilinear",
        align_corners=False,
        antialias=max(height, width) > size,
    )


def resize_pillow(images: UInt8[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c s s"]:
    """`PILLOW`: Image.resize of Pillow with BICUBIC, whole numbers from 0 to 255.

    As there, rows come first, and what they give is rounded before the columns. (Pillow 13 begins
    with the columns of tall images, which rounds differently; published numbers are older.)
    """
    x = images.float()
    for shape in ((x.shape[2], size), (size, size)):
        if x.shape[2:] != shape:
            x = functional.interpolate(
                x, size=shape, mode="bicubic", align_corners=False, antialias=True
            )
            x = x.round_().clamp_(0, 255)
    return x


def crop_square(images: UInt8[Tensor, "b c h w"]) -> UInt8[Tensor, "b c m m"]:
    """The largest square in the middle."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def resize_tf1(images: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c s s"]:
    """`TF1`: output pixel i reads position i * in / out, between its two nearest pixels.

    This is tf.image.resize_bilinear with align_corners=False of TensorFlow 1, behind every
    published FID. Being separable and linear it is two small matrix products, which takes
    about a tenth of the time of gathering the four neighbours of every output pixel.
    """
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return images
    rows = _tf1_matrix(height, size, images.device)
    columns = _tf1_matrix(width, size, images.device)
    return rows @ images @ columns.T


def _tf1_matrix(old: int, new: int, device: torch.device) -> Float[Tensor, "new old"]:
    # The position is rounded to float32, as TensorFlow does, so that the weights are its own.
    position = torch.arange(new, dtype=torch.float32) * torch.tensor(old / new)
    low = position.long().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    share = position - low
    matrix = torch.zeros(new, old)
    at = torch.arange(new)
    matrix[at, low] += 1 - share
    matrix[at, high] += share
    return matrix.to(device)
