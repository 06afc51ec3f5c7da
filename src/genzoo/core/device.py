"""The device of a call from Python."""

from __future__ import annotations

import torch

from genzoo.core.errors import UsageError


def chosen_device(word: str | torch.device) -> torch.device:
    """Where networks compute.

    Args:
        word: `cpu`, `cuda`, `cuda:1`, a `torch.device`, or `auto`: a GPU where there is one.

    Raises:
        UsageError: for a device of another kind, or one that this machine does not have.
    """
    there = torch.cuda.device_count()
    if isinstance(word, str) and word == "auto":
        word = "cuda" if there else "cpu"
    try:
        device = torch.device(word)
    except (RuntimeError, TypeError) as error:
        raise _unknown(word) from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise _unknown(word)
    index = torch.cuda.current_device() if there and device.index is None else device.index or 0
    if index >= there:
        have = "no GPU" if not there else f"{there} GPU{'s' * (there > 1)}"
        raise UsageError(
            f"device='{device}', but this machine has {have}",
            "write device='auto'" if there else "write device='cpu'",
        )
    return torch.device("cuda", index)


def _unknown(word: object) -> UsageError:
    return UsageError(f"there is no device {str(word)!r}", "write auto, cpu, cuda or cuda:1")
