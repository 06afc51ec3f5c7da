"""Conditions of samples, and the grids and strips that tasks write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from genzoo.core.image import grid, save_png, to_float
from genzoo.core.types import Condition
from genzoo.data.dataset import TextImageData
from genzoo.models.base import GenerativeModel
from genzoo.text.tokenizer import Tokenizer


def condition_of(
    model: GenerativeModel, data: TextImageData, indices: Sequence[int], tokenizer: Tokenizer
) -> Condition:
    """The condition of some images of the data: captions, and what else a model needs.

    What enlarges images needs smaller ones, a decoder without prior needs embeddings.
    """
    cond = data.condition(indices, tokenizer)
    if "low_res" in model.capabilities.conditions:
        return model.with_low_res(cond, to_float(data.images(indices)))
    if "embedding" in model.capabilities.conditions:
        device = next(model.parameters()).device
        return model.with_embedding(cond, to_float(data.images(indices)).to(device))
    return cond


def save_grid(path: Path, images: Tensor, *, columns: int) -> None:
    """8-bit images (n, 3, h, w) in rows, small ones scaled up, as one PNG."""
    size = images.shape[-1]
    scale = 4 if size < 64 else 2 if size < 256 else 1
    save_png(path, grid(images, columns=columns), scale=scale)


def save_strip(
    folder: Path,
    way: Tensor,
    *,
    before: Sequence[Tensor] = (),
    after: Sequence[Tensor] = (),
    text: Mapping[str, str],
) -> None:
    """An interpolation of 8-bit images (steps, 3, h, w), each as a PNG, and all in one row.

    Args:
        folder: where they are written: 00000.png ... and strip.png.
        way: the images.
        before: given images that the row shows first.
        after: those that it shows last.
        text: for the metadata of each image, with its number and its position.
    """
    for k, image in enumerate(way):
        own = {"number": str(k), "share": f"{k / (len(way) - 1):.4f}"}
        save_png(folder / f"{k:05d}.png", image, text={**text, **own})
    row = torch.stack([*before, *way, *after])
    save_grid(folder / "strip.png", row, columns=len(row))
