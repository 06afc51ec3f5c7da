"""The context of every check, and how it runs commands."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from genzoo import cli

Found = dict[str, Any]  # plain data; `failures` lists what is wrong, in words


@dataclass(frozen=True)
class Bench:
    """Where checks run.

    Attributes:
        device: cuda, or cpu to try the checks themselves.
        folder: for runs; removed afterwards.
        deadline: in `time.monotonic()`'s seconds; later checks are left out.
    """

    device: torch.device
    folder: Path
    deadline: float

    @property
    def on_gpu(self) -> bool:
        """Whether the checks run on a GPU."""
        return self.device.type == "cuda"

    @property
    def late(self) -> bool:
        """Whether no further check should start."""
        return time.monotonic() > self.deadline

    def machine(self) -> Found:
        """The card, as results name it."""
        if not self.on_gpu:
            return {"device": "cpu", "count": 0}
        card = torch.cuda.get_device_properties(0)
        return {
            "device": card.name,
            "count": torch.cuda.device_count(),
            "memory_bytes": card.total_memory,
            "capability": f"{card.major}.{card.minor}",
            "cuda": torch.version.cuda,
        }

    def synchronize(self) -> None:
        """Wait until the device has done everything."""
        if self.on_gpu:
            torch.cuda.synchronize()


class Failed(Exception):
    """A command ended with another status than 0."""


def command(*arguments: str) -> str:
    """Run the command line in this process, where torch is imported already.

    Returns:
        Its output.

    Raises:
        Failed: with its last line.
    """
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    output = io.StringIO()
    status: object = 0
    with _captured(output), mock.patch.object(sys, "argv", ["genzoo", *arguments]):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
    if status not in (0, None):
        lines = output.getvalue().strip().splitlines() or ["(no output)"]
        raise Failed(f"status {status}: {lines[-1]}")
    return output.getvalue()


@contextlib.contextmanager
def _captured(target: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(target), contextlib.redirect_stderr(target):
        yield
