"""Checkpoints as a stranger may hand them on: those of the zoo with a changed word."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from genzoo.config.paths import zoo_dir
from genzoo.weights import exported

SHAPES = {"_target_": "genzoo.data.shapes.Shapes", "count": 96, "seed": 0, "held_out": []}


def checkpoint(path: Path, *, of: str = "diffusion_16", about: Any = None, **changes: Any) -> Path:
    """A model of the zoo in another file, with other words in its configuration.

    Its data are a few drawn shapes, which take no time.

    Args:
        path: whose ending says how it is written: as a checkpoint or exported.
        of: the model in the zoo.
        about: changes of what the file says besides its configuration.
        changes: values by their dotted keys, with double underscores for the dots.
    """
    said, weights = exported.read(zoo_dir() / f"{of}.safetensors")
    assert said is not None
    said |= about or {}
    said["config"]["data"] = {**said["config"]["data"], "name": "shapes", "source": dict(SHAPES)}
    for key, value in changes.items():
        *sections, name = key.split("__")
        node = said["config"]
        for section in sections:
            node = node.setdefault(section, {})
        node[name or "_target_"] = value
    if path.suffix == ".safetensors":
        packed = base64.b64encode(zlib.compress(said.pop("tokenizer").encode())).decode()
        entries = {exported.ENTRY: json.dumps(said), exported.TOKENIZER: packed}
        save_file(weights, path, metadata=entries)
    else:
        state = {f"ema.model.{name}": value for name, value in weights.items()}
        torch.save({"genzoo": said, "state_dict": state}, path)
    return path
