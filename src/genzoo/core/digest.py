"""Hashes of content: weights, tensors, chosen items. Names and places of files do not count.

All are SHA-256 in hexadecimal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

SHORT = 16  # letters of a hash that tells choices of one data set apart


def of_weights(weights: Mapping[str, Tensor]) -> str:
    """Of the names, shapes and values of weights, whatever file they were read from."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(_bytes(value))
    return found.hexdigest()


def of_tensor(value: Tensor) -> str:
    """Of a tensor's shape and values in float32, whatever its name."""
    found = hashlib.sha256(f"{tuple(value.shape)}\n".encode())
    found.update(_bytes(value.float()))
    return found.hexdigest()


def of_items(indices: Iterable[int], texts: Sequence[str] | None = None) -> str:
    """Of chosen items of a data set in their order, and of one text each.

    Args:
        indices: of the items.
        texts: as many; None where they are no part of the choice.
    """
    chosen = [[int(index) for index in indices], None if texts is None else list(texts)]
    return hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:SHORT]


def _bytes(value: Tensor) -> bytes:
    plain = value.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()
