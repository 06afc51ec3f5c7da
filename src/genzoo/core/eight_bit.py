"""`genzoo.data.to_uint8`: images of floats, whose range is said, as 8-bit pixels."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from genzoo.core.arguments import number
from genzoo.core.errors import UsageError

SLACK = 0.05  # of the range: how far resampling filters overshoot

Floats = TypeVar("Floats", np.ndarray, Tensor)


def to_uint8(images: Floats, *, value_range: tuple[float, float]) -> Floats:
    """Pixels of floats as the nearest 8-bit ones, which all of genzoo takes.

    Args:
        images: an array or a tensor of floats, of any shape.
        value_range: what black and white are: (0, 1), (-1, 1) or (0, 255). Values just outside,
            as resampling filters leave them, are clipped.

    Returns:
        The same shape and kind, as uint8.

    Raises:
        UsageError: for anything but floats, or values that are not of this range.

    Examples:
        >>> model.reconstruct(genzoo.data.to_uint8(batch, value_range=(0, 1)))
    """
    try:
        black, white = (number(end, name="value_range") for end in value_range)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"value_range={value_range!r} is no range", "write value_range=(0, 1)"
        ) from error
    if not black < white:
        raise UsageError(f"value_range=({black:g}, {white:g}) is empty", "write (0, 1)")
    if isinstance(images, Tensor):
        return _converted(images.detach(), black, white)
    if not isinstance(images, np.ndarray):
        raise UsageError(
            f"{type(images).__name__} holds no floats", "give an array or a tensor of floats"
        )
    if images.dtype.kind != "f":
        raise _no_floats(images.dtype)
    return _converted(torch.from_numpy(np.ascontiguousarray(images)), black, white).numpy()


def _converted(images: Tensor, black: float, white: float) -> Tensor:
    if not images.is_floating_point():
        raise _no_floats(images.dtype)
    share = (images.double() - black) / (white - black)
    if images.numel():
        least, most = float(images.min()), float(images.max())
        if not (share.isfinite().all() and share.min() >= -SLACK and share.max() <= 1 + SLACK):
            raise UsageError(
                f"images of value_range=({black:g}, {white:g}) hold {least:g} to {most:g}",
                "name the range that they have",
            )
    return share.mul(255).round().clamp(0, 255).to(torch.uint8)


def _no_floats(dtype: object) -> UsageError:
    return UsageError(
        f"pixels of {dtype} are no floats", "give pixels from 0 to 255 as uint8 as they are"
    )
