"""From captions to 8-bit samples: the one way of the command line and of `genzoo.load`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from genzoo.core.image import to_uint8
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.models.base import GenerativeModel, identity
from genzoo.text.tokenizer import Tokenizer


def condition(
    captions: Sequence[str], tokenizer: Tokenizer, *, label: int | None = None
) -> Condition:
    """The condition of captions, and of a class if one is named."""
    tokens, mask = tokenizer.encode(list(captions))
    labels = torch.full((len(captions),), -1 if label is None else label)
    return Condition(tuple(captions), tokens, mask, labels)


def sample_images(
    model: GenerativeModel,
    cond: Condition,
    shape: tuple[int, int, int],
    *,
    seed: int,
    indices: Sequence[int],
    device: torch.device,
    guidance: Any = identity,
) -> UInt8[Tensor, "b c h w"]:
    """8-bit samples on the CPU; the k-th belongs to the number indices[k] of this seed.

    Args:
        model: in evaluation mode.
        cond: one condition an image.
        shape: (channels, height, width).
        seed: of the run.
        indices: numbers of the images; image i depends on (seed, i) alone.
        device: where the model is.
        guidance: as for `GenerativeModel.sample`.
    """
    noise = Noise.of(seed, indices, "sample", device=device)
    with torch.no_grad():
        images = model.sample(cond.to(device), shape, noise=noise, guidance=guidance)
    return to_uint8(images).cpu()
