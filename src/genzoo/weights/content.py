"""Reading files of weights from any source; nothing in them is executed.

Its format is detected by its first bytes, never by its name: files are renamed, and hubs keep them
under their checksums.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from genzoo.core.errors import GenzooError, UsageError
from genzoo.weights import exported

# Exceptions that reading a damaged file may raise.
DAMAGED = (
    RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError,
    SafetensorError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
LONGEST_HEADER = 100_000_000  # bytes; safetensors accepts none longer


def kind_of_file(path: Path) -> str | None:
    """How a file of weights is written: `safetensors`, `zip` (torch's), or `pickle` (before 1.6).

    None for anything else, such as text or an image.

    Raises:
        OSError: where it cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(9)
    # First the unambiguous formats: the length of a header may begin like a pickle.
    header = int.from_bytes(begin[:8], "little")
    if begin[8:] == b"{" and 8 + header <= path.stat().st_size and header <= LONGEST_HEADER:
        return "safetensors"
    if begin.startswith(ZIP):
        return "zip"
    return "pickle" if begin.startswith(PICKLE) else None


def may_hold_weights(path: Path) -> bool:
    """Whether a file holds weights, by its first bytes."""
    try:
        kind = kind_of_file(path) if path.is_file() else None
        if kind != "zip":
            return kind is not None
        with zipfile.ZipFile(path) as archive:  # and not a document
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_content(path: Path) -> Any:
    """The plain data and tensors in a file from any source.

    Raises:
        UsageError: for a file that would have to run code.
        GenzooError: for a damaged file.
    """
    try:
        kind = kind_of_file(path)
        if kind == "safetensors":
            about, tensors = exported.read(path)
            return tensors if about is None else {exported.ENTRY: about, "averages": tensors}
        if kind is not None:
            return _of_torch(path, kind)
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
        raise _damaged(path) from error
    raise _damaged(path)


def _of_torch(path: Path, kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*TorchScript archive")  # refused above
        warnings.filterwarnings("ignore", message="Detected pickle protocol")  # of what is none
        # Files of before torch 1.6 cannot be mapped, and torch decides by the name of others.
        if kind == "zip" and path.suffix.lower() != ".safetensors":
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)


def _damaged(path: Path) -> GenzooError:
    return GenzooError(
        f"{path} is no file of weights, or it is damaged or truncated",
        "use another checkpoint, or train again",
    )
