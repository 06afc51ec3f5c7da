"""What lies in a file of weights, whoever wrote it; nothing in it is executed."""

from __future__ import annotations

import pickle
import warnings
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from genzoo import portable
from genzoo.errors import GenzooError, UsageError

# What reading a damaged file may raise.
DAMAGED = (RuntimeError, EOFError, OSError, ValueError, KeyError, SafetensorError, zlib.error)


def content_of(path: Path) -> Any:
    """Whatever plain data and tensors lie in a file, whoever wrote it.

    Raises:
        UsageError: for a file that would have to run code.
        GenzooError: for a damaged file.
    """
    try:
        if path.suffix == ".safetensors":
            about, tensors = portable.read(path)
            return tensors if about is None else {portable.ENTRY: about, "averages": tensors}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TorchScript archive")  # refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path} is no genzoo checkpoint, and what is in it is not executed",
            "name a checkpoints/last.ckpt that genzoo wrote",
        ) from error
    except DAMAGED as error:
        if "TorchScript" in str(error):
            raise UsageError(
                f"{path} is a TorchScript program, which is not executed",
                "name one of OpenAI's ordinary CLIPs as open_clip/<model>/<file>",
            ) from error
        raise GenzooError(
            f"the checkpoint {path} is damaged or truncated",
            "use another checkpoint, or train again",
        ) from error
