"""The nearest rows of one set for each row of another, by distances that are right in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genzoo.metrics.distances import Block, Distances

SPARE = 8  # more candidates than are asked for: float32 may order near ones wrongly


@dataclass(frozen=True)
class Nearest:
    """The k nearest rows, nearest first.

    Attributes:
        squared: their squared distances in float64, those of some ranks exact (see `NearestRows`).
        row: which they are.
    """

    squared: Float[Tensor, "m k"]
    row: Int[Tensor, "m k"]


class NearestRows:
    """Collects the nearest rows from blocks of distances.

    Args:
        k: how many; no more than there are rows to choose from.
        exact: the ranks, 0 for the nearest, whose distances are those of float64; the others are
            within the rounding of float32.
    """

    def __init__(self, k: int, *, exact: Sequence[int]) -> None:
        self.k, self.exact = k, tuple(exact)
        self._parts: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        """Rows so far."""
        return sum(len(row) for _, row in self._parts)

    def add(self, block: Block) -> None:
        """The next rows."""
        squared, row, enough = self._chosen(block)
        if not enough.all() and block.squared.dtype == torch.float32:
            # So many lie so close together that float32 cannot choose; float64 can.
            squared, row, _ = self._chosen(block.sets.block(block.rows, torch.float64))
        self._parts.append((squared, row))

    def _chosen(self, block: Block) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest, and for each row whether none can have been missed.

        With an error of at most e, the k-th smallest of all is within e of the k-th that was
        found, and what is that has been found within 2 e of it. Those are looked at exactly.
        """
        count = block.squared.shape[1]
        kept = min(self.k + SPARE, count)
        near = block.squared.topk(kept, dim=1, largest=False, sorted=True)
        squared, row = near.values.double().cpu(), near.indices.cpu()
        error = 2 * (block.row_error + block.column_error.max()).double().cpu()
        at = squared[:, list(self.exact)]
        is_open = ((squared[:, :, None] - at[:, None]).abs() <= error[:, :, None]).any(2)
        i, column = is_open.nonzero(as_tuple=True)
        squared[i, column] = block.sets.exact(i + block.rows.start, row[i, column])
        enough = squared[:, -1:] > at + error if kept < count else torch.ones(1, dtype=torch.bool)
        # Equal distances in the order of their rows, whatever order float32 gave them.
        order = row.argsort(dim=1)
        order = order.gather(1, squared.gather(1, order).argsort(dim=1, stable=True))[:, : self.k]
        return squared.gather(1, order).clamp_(min=0.0), row.gather(1, order), enough

    def result(self) -> Nearest:
        """All rows so far."""
        squared, row = zip(*self._parts, strict=True)
        return Nearest(torch.cat(squared), torch.cat(row))


def nearest(
    a: Float[Tensor, "m d"],
    b: Float[Tensor, "n d"],
    *,
    k: int,
    exact: Sequence[int],
    device: torch.device,
    what: str | None = None,
) -> Nearest:
    """For each row of `a` the k nearest of `b`.

    Args:
        a: features.
        b: features.
        k: how many.
        exact: the ranks whose distances are those of float64, see `NearestRows`.
        device: where distances are computed.
        what: is counted, for a line that tells the progress; None to say nothing.
    """
    found = NearestRows(min(k, len(b)), exact=exact)
    for block in Distances(a, b, device=device).blocks(what):
        found.add(block)
    return found.result()
