"""Between tensors of pixels and what notebooks hold: PIL images, arrays, files."""

from __future__ import annotations

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def as_pictures(images: UInt8[Tensor, "n 3 h w"]) -> list[Image.Image]:
    """8-bit pixels as RGB pictures."""
    return [Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()) for image in images]
