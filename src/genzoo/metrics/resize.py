"""The two ways in which extractors bring images to their input size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

HALF_PIXEL = "bilinear, half-pixel centres, no antialiasing"
TF1 = "bilinear as TensorFlow 1 (corner-aligned grid, no antialiasing)"


def resize_half_pixel(images: Float[Tensor, "b c h w"], size: int) -> Float[Tensor, "b c s s"]:
    """`HALF_PIXEL`: PyTorch's bilinear interpolation.

    Without antialiasing, so that enlarging and shrinking use one rule that every peer's
    framework has; generated images here are smaller than the extractors' inputs.
    """
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(
        images, size=(size, size), mode="bilinear", align_corners=False, antialias=False
    )


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
