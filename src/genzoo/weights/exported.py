"""A trained model in one small file: tensors in half precision and plain configuration.

The file is safetensors, with the checkpoint's entry ``genzoo`` as JSON in its metadata. It holds
the averaged weights, and neither the optimiser's state nor paths of a machine.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from genzoo.config.merge import FROM_CHECKPOINT
from genzoo.core.files import whole

ENTRY = "genzoo"  # of the metadata
TOKENIZER = "tokenizer"  # the other entry: compressed, as its JSON would be most of the header
PRECISION = torch.float16
LARGEST = 64_000_000  # bytes of a tokenizer's JSON


def write(path: Path, about: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write the file, complete or not at all.

    Args:
        path: ends in .safetensors.
        about: the entry ``genzoo`` of a checkpoint; of its configuration only the description of
            the model is kept.
        weights: averaged, by name.
    """
    config = {key: about["config"][key] for key in FROM_CHECKPOINT if key in about["config"]}
    config["data"] = _without_paths(config["data"])
    if config["guidance"].get("checkpoint") is not None:
        config["guidance"] = {"name": "none"}  # another file, which others may not have
    tensors = {
        name: value.to(PRECISION if value.is_floating_point() else value.dtype).contiguous()
        for name, value in weights.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = {key: value for key, value in about.items() if key != TOKENIZER}
    packed = base64.b64encode(zlib.compress(about[TOKENIZER].encode(), 9)).decode()
    entries = {ENTRY: json.dumps({**rest, "config": config}), TOKENIZER: packed}
    with whole(path) as fresh:
        save_file(tensors, fresh, metadata=entries)
        fresh.chmod(0o644)  # safetensors writes 0600; this file is meant to be shared


def _without_paths(section: Mapping[str, Any]) -> dict[str, Any]:
    """Folders of this machine replaced by None."""
    kept: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            kept[key] = _without_paths(value)
        else:
            kept[key] = None if isinstance(value, str) and Path(value).is_absolute() else value
    return kept


def read(path: Path) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
    """The metadata, None for a file of other programs, and the tensors in float32.

    Raises:
        SafetensorError, ValueError, KeyError, zlib.error: for a damaged file.
    """
    with safe_open(path, "pt") as file:
        entries = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wide = {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    if ENTRY not in entries:
        return None, wide
    about = json.loads(entries[ENTRY])
    about[TOKENIZER] = _unpacked(entries[TOKENIZER])
    return about, wide


def _unpacked(text: str) -> str:
    """A tokenizer's JSON, decompressed to at most `LARGEST` bytes.

    Raises:
        ValueError: where it is larger or damaged.
    """
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(base64.b64decode(text, validate=True), LARGEST)
    if not unpacking.eof:
        raise ValueError("the tokenizer is cut off or too large")
    return data.decode()
