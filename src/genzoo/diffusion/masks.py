"""Random masks for training inpainting.

Shape letters: b batch, h height, w width.

A mask is 1 where the image is known, 0 where it is to be sampled.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.noise import Noise

Mask = Float[Tensor, "b 1 h w"]
Numbers = Float[Tensor, "b n"]

STROKES = 4  # line segments of a brush stroke


def random_masks(size: int, *, noise: Noise) -> Mask:
    """One mask an image: everything, a box, a half plane or a brush stroke, equally often.

    GLIDE (arXiv 2112.10741, section 3.3) erases random regions and does not say which. These are
    like the masks that people paint: boxes, strokes and sides of an image. Full masks keep the
    network able to sample without a known part.
    """
    kind = noise.child("kind").integers(4)
    numbers = noise.child("shape").uniform(2 * (STROKES + 1) + 1)
    line = (torch.arange(size, device=numbers.device) + 0.5) / size
    y, x = line[:, None].expand(size, size), line[None].expand(size, size)
    hidden = torch.stack(
        [
            torch.ones(len(numbers), size, size, dtype=torch.bool, device=numbers.device),
            _box(numbers, y, x),
            _half_plane(numbers, y, x),
            _stroke(numbers, y, x),
        ]
    )
    chosen = hidden[kind, torch.arange(len(kind), device=kind.device)]
    return (~chosen)[:, None].float()


def _wide(values: Float[Tensor, " b"]) -> Float[Tensor, "b 1 1"]:
    return values[:, None, None]


def _box(u: Numbers, y: Tensor, x: Tensor) -> Tensor:
    """A box with sides of 0.1 to 0.9 of the image, anywhere within it."""
    height, width = (_wide(0.1 + 0.8 * u[:, k]) for k in (0, 1))
    top, left = _wide(u[:, 2]) * (1 - height), _wide(u[:, 3]) * (1 - width)
    return (y >= top) & (y < top + height) & (x >= left) & (x < left + width)


def _half_plane(u: Numbers, y: Tensor, x: Tensor) -> Tensor:
    """One side of a random line through the middle part of the image."""
    angle = _wide(2 * torch.pi * u[:, 0])
    across = (x - 0.5) * angle.cos() + (y - 0.5) * angle.sin()
    return across > _wide(0.6 * u[:, 1] - 0.3)


def _stroke(u: Numbers, y: Tensor, x: Tensor) -> Tensor:
    """Pixels near a line through several random points."""
    points = u[:, : 2 * (STROKES + 1)].unflatten(1, (STROKES + 1, 2))
    radius = _wide(0.04 + 0.1 * u[:, -1])
    near = torch.zeros(len(u), *y.shape, dtype=torch.bool, device=u.device)
    for k in range(STROKES):
        (ay, ax), (by, bx) = ((_wide(points[:, j, 0]), _wide(points[:, j, 1])) for j in (k, k + 1))
        dy, dx = by - ay, bx - ax
        along = ((y - ay) * dy + (x - ax) * dx) / (dy**2 + dx**2).clamp(min=1e-6)
        along = along.clamp(0, 1)
        distance = ((y - ay - along * dy) ** 2 + (x - ax - along * dx) ** 2).sqrt()
        near |= distance < radius
    return near
