"""Atomic and durable writing of checkpoints."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from genzoo.core.errors import GenzooError


class WriteError(GenzooError):
    """A checkpoint could not be written; the earlier one is unchanged."""


def write(content: Any, path: Path) -> None:
    """Write tensors and plain data into a temporary file in the same folder, and rename it.

    Nothing is held in memory twice. The unfinished file of a killed process is overwritten.

    Args:
        content: as for `torch.save`.
        path: the file.

    Raises:
        WriteError: when the disk is full, or the folder cannot be written.
    """
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            _save(content, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        problem = f"cannot write the checkpoint {path}: {error.strerror or error}"
        if path.exists():
            raise WriteError(
                f"{problem}; the one that was there stands",
                f"make room, and continue with checkpoint={path.parents[1]}",
            ) from error
        raise WriteError(
            problem, "make room, or choose another place with output=... or hydra.run.dir=..."
        ) from error


class _Errors:
    """A file that keeps its errors: torch's writer reports another one in their place."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self.file.flush()


def _save(content: Any, file: BinaryIO) -> None:
    kept = _Errors(file)
    try:
        torch.save(content, cast(Any, kept))
    except RuntimeError as error:
        if kept.error is not None:
            raise kept.error from error
        raise


def _sync_folder(folder: Path) -> None:
    """Flush the folder, so that the new name survives a power cut."""
    with contextlib.suppress(OSError):  # not every file system supports this
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
