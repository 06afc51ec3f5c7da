"""From shapes with a place and a radius to pixels, with smooth edges.

Lengths are shares of the image's side, x to the right and y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from genzoo.data.scene import Mark
from genzoo.data.source import Pixels

SAMPLES = 4  # per pixel and direction, for smooth edges
ARM = 1 / 3  # half the width of a cross's arms, in radii


def paint(marks: Sequence[Mark], size: int) -> Pixels:
    """The shapes on white, with smooth edges."""
    canvas = np.full((size, size, 3), 255.0)
    for mark in marks:
        cover = coverage(mark, size)[..., None]
        canvas += cover * (np.array(mark.colour) - canvas)
    pixels: Pixels = canvas.round().astype(np.uint8)
    return pixels


def coverage(mark: Mark, size: int) -> Float[np.ndarray, "{size} {size}"]:
    """The share of each pixel that the shape covers, from `SAMPLES` x `SAMPLES` points."""
    cover = np.zeros((size, size))
    # Only the pixels that the shape can reach: most of an image is white.
    left, right = _reach(mark.x, mark.radius, size)
    top, bottom = _reach(mark.y, mark.radius, size)
    u, v = (
        ((np.arange(low * SAMPLES, high * SAMPLES) + 0.5) / (size * SAMPLES) - centre)
        / mark.radius
        for low, high, centre in ((left, right, mark.x), (top, bottom, mark.y))
    )
    inside = outline(mark.shape, u[None, :], v[:, None])
    blocks = inside.reshape(bottom - top, SAMPLES, right - left, SAMPLES)
    cover[top:bottom, left:right] = blocks.mean(axis=(1, 3))
    return cover


def _reach(centre: float, radius: float, size: int) -> tuple[int, int]:
    low, high = math.floor((centre - radius) * size), math.ceil((centre + radius) * size)
    return max(0, min(low, size)), max(0, min(high, size))


def outline(
    shape: str, u: Float[np.ndarray, ...], v: Float[np.ndarray, ...]
) -> Bool[np.ndarray, ...]:
    """Which points lie in a shape that fills the square from -1 to 1, v pointing down."""
    inside: Bool[np.ndarray, ...] = (abs(u) <= 1) & (abs(v) <= 1)
    if shape == "circle":
        inside = inside & (u**2 + v**2 <= 1)
    elif shape == "triangle":
        inside = inside & (2 * abs(u) <= v + 1)
    elif shape == "cross":
        inside = inside & ((abs(u) <= ARM) | (abs(v) <= ARM))
    return inside
