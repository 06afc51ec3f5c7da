"""Tables of a schedule, on the host and on devices.

A sampler counts its steps in Python and looks up each step's values as Python numbers: read from a
GPU, each would synchronise with it. In training each row has a step of its own, and values are
looked up on its device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

Steps = int | Int[Tensor, " b"]  # one step for all rows, or one a row


class Table:
    """One value a step, on the host, and on each device that has looked one up.

    Floating-point values are float64 and are cast after the lookup: differences of neighbouring
    entries would be lost in float32.

    Args:
        values: floating-point numbers, or integers, which stay integers.
    """

    def __init__(self, values: Sequence[float] | NDArray[Any]) -> None:
        self.values = np.asarray(values)
        self._on: dict[torch.device, Tensor] = {}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, step: int) -> int | float:
        """A step's entry, an integer if all are."""
        entry: int | float = self.values[step].item()
        return entry

    def on(self, device: torch.device) -> Shaped[Tensor, " n"]:
        """All entries on a device, copied once and without synchronisation."""
        if device not in self._on:
            self._on[device] = torch.from_numpy(self.values).to(device, non_blocking=True)
        return self._on[device]

    def broadcast_at(
        self, steps: Steps, like: Float[Tensor, "b ..."]
    ) -> int | float | Float[Tensor, "b ..."]:
        """Each row's entry, in the precision and with the dimensions of `like`.

        A Python number if all rows are at the same step.
        """
        if isinstance(steps, int):
            return self[steps]
        entries = self.on(steps.device)[steps].to(like.dtype)
        return entries.view(-1, *[1] * (like.ndim - 1))

    def rows(self, steps: Steps, like: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """As `broadcast_at`, but always one entry a row."""
        entries = self.broadcast_at(steps, like)
        if isinstance(entries, Tensor):
            return entries
        return like.new_full((len(like), *[1] * (like.ndim - 1)), entries)

    def as_input(self, steps: Steps, like: Float[Tensor, "b ..."]) -> Shaped[Tensor, " b"]:
        """Each row's entry as a network's input: integers as int64, others as `like`."""
        whole = np.issubdtype(self.values.dtype, np.integer)
        dtype = torch.long if whole else like.dtype
        if isinstance(steps, int):
            return torch.full((len(like),), self[steps], dtype=dtype, device=like.device)
        return self.on(steps.device)[steps].to(dtype)
