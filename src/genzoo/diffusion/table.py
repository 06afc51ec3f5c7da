"""Numbers that belong to the steps of a schedule, where they are wanted without waiting.

A sampler counts its steps in Python and needs each step's numbers as Python has them: read off a
GPU, each would make the host wait until everything before it is done. Training has rows that are
at steps of their own, and needs the numbers beside them.
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
    """A number a step, on the host; on a device too once rows there have asked.

    Fractions are float64 and are cast after a step's entry is taken: differences of neighbouring
    entries would be lost in float32.

    Args:
        values: fractions, or whole numbers, which stay whole.
    """

    def __init__(self, values: Sequence[float] | NDArray[Any]) -> None:
        self.values = np.asarray(values)
        self._on: dict[torch.device, Tensor] = {}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, step: int) -> int | float:
        """A step's entry, a whole number if all are."""
        entry: int | float = self.values[step].item()
        return entry

    def on(self, device: torch.device) -> Shaped[Tensor, " n"]:
        """All entries on a device, where they are put once; the host does not wait for that."""
        if device not in self._on:
            self._on[device] = torch.from_numpy(self.values).to(device, non_blocking=True)
        return self._on[device]

    def broadcast_at(
        self, steps: Steps, like: Float[Tensor, "b ..."]
    ) -> int | float | Float[Tensor, "b ..."]:
        """Each row's entry, in the precision and with the dimensions of `like`.

        A plain number where all rows are at the same step.
        """
        if isinstance(steps, int):
            return self[steps]
        entries = self.on(steps.device)[steps].to(like.dtype)
        return entries.view(-1, *[1] * (like.ndim - 1))

    def rows(self, steps: Steps, like: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """As `broadcast_at`, one entry a row always."""
        entries = self.broadcast_at(steps, like)
        if isinstance(entries, Tensor):
            return entries
        return like.new_full((len(like), *[1] * (like.ndim - 1)), entries)

    def as_input(self, steps: Steps, like: Float[Tensor, "b ..."]) -> Shaped[Tensor, " b"]:
        """Each row's entry as a network is told it: whole numbers whole, others as `like` is."""
        whole = np.issubdtype(self.values.dtype, np.integer)
        dtype = torch.long if whole else like.dtype
        if isinstance(steps, int):
            return torch.full((len(like),), self[steps], dtype=dtype, device=like.device)
        return self.on(steps.device)[steps].to(dtype)
