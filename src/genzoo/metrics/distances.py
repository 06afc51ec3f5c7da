"""Squared distances between two sets of features, in float32 with a bound on the error.

``|a - b|^2 = |a|^2 + |b|^2 - 2 a.b`` makes distances of a matrix product, and loses the small
ones: what is left of two large numbers has their rounding in it. So float32 alone miscounts
neighbours wherever a distance lies near a radius, and equal images first of all, whose distance
comes out as anything within that rounding. Each block of distances therefore has a bound on its
error. Whoever compares a distance asks float32 first, and where the bound leaves it open the
difference of the two rows, in float64. The answers are those of float64, on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from genzoo.core.precision import exact
from genzoo.machine.console import Progress

BLOCK_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
ROWS = 4096  # that are converted at once
PAIRS = 256  # whose rows are compared at once: 4 MB at 2048 features, which a cache holds
OPEN_SHARE = 1 / 32  # of a block; beyond it a product in float64 is cheaper than pair by pair


@dataclass(frozen=True)
class Block:
    """Distances from some rows of one set to all rows of another.

    Attributes:
        rows: which rows of the first set.
        squared: the distances, in float32 or float64, on the device where they were computed.
        row_error: with `column_error`, how far an entry may be from the truth at most.
        column_error: the column's part of that.
        sets: of which it is a part.
    """

    rows: slice
    squared: Float[Tensor, "r n"]
    row_error: Float[Tensor, "r 1"]
    column_error: Float[Tensor, " n"]
    sets: Distances

    def within(self, squared_radius: Tensor, *, closed: bool) -> Bool[Tensor, "r n"]:
        """Which distances are below a radius, or closed: not above it; decided as by float64.

        Args:
            squared_radius: float64, one a row (r, 1) or one a column (n,).
            closed: whether a distance that equals the radius is within it.
        """
        radius = squared_radius.to(self.squared)
        by_row = radius.ndim == 2
        error = (
            self.row_error + self.column_error.max()
            if by_row
            else self.column_error + self.row_error.max()
        )
        error = error + 2 * _unit(self.squared.dtype) * radius
        sure = self.squared < radius - error
        still_open = (self.squared <= radius + error) ^ sure
        rows, columns = still_open.nonzero(as_tuple=True)
        if len(rows) > OPEN_SHARE * sure.numel() and self.squared.dtype == torch.float32:
            return self.sets.block(self.rows, torch.float64).within(squared_radius, closed=closed)
        if len(rows):
            at = rows if by_row else columns
            asked = squared_radius.flatten().cpu()[at.cpu()]
            found = self.sets.exact(rows.cpu() + self.rows.start, columns.cpu())
            inside = found <= asked if closed else found < asked
            sure[rows, columns] = inside.to(sure.device)
        return sure


class Distances:
    """All distances from the rows of one set to those of another, block after block.

    Args:
        a: features, on the CPU.
        b: features that they are compared with.
        device: where blocks are computed.
    """

    def __init__(
        self, a: Float[Tensor, "m d"], b: Float[Tensor, "n d"], *, device: torch.device
    ) -> None:
        self.a, self.b, self.device = a.detach(), b.detach(), device
        # About their mean the features are small, and so is what their rounding costs.
        self._centre = self.b.mean(0, dtype=torch.float64)
        self._columns = {torch.float32: self._prepared(self.b, torch.float32)}

    def blocks(self, what: str | None = None) -> Iterator[Block]:
        """The blocks from the first row to the last.

        Args:
            what: is counted, for a line that tells the progress; None to say nothing.
        """
        size = max(
            1, BLOCK_BYTES.get(self.device.type, BLOCK_BYTES["cpu"]) // (4 * max(1, len(self.b)))
        )
        with nullcontext() if what is None else Progress(what, len(self.a)) as progress:
            for start in range(0, len(self.a), size):
                rows = slice(start, min(start + size, len(self.a)))
                yield self.block(rows, torch.float32)
                if progress is not None:
                    progress.at(rows.stop)

    def block(self, rows: slice, dtype: torch.dtype) -> Block:
        """The distances from these rows, computed in `dtype`."""
        if dtype not in self._columns:
            self._columns[dtype] = self._prepared(self.b, dtype)
        b, norm_b = self._columns[dtype]
        a, norm_a = self._prepared(self.a[rows], dtype)
        with exact(self.device):
            squared = torch.addmm(norm_a[:, None] + norm_b, a, b.T, alpha=-2)
        # Rounding of a sum of d products, in any order, and of what goes into them (Higham 2002,
        # Accuracy and Stability of Numerical Algorithms, 3.1); |a.b| is at most the norms' mean.
        share = (a.shape[1] + 16) * _unit(dtype)
        return Block(rows, squared, share * norm_a[:, None], share * norm_b, self)

    def exact(self, i: Int[Tensor, " p"], j: Int[Tensor, " p"]) -> Float[Tensor, " p"]:
        """The squared distances of some pairs in float64, from differences: equal rows have 0.

        Each pair is summed by itself in one order, so that a distance and a radius that are of
        the same pair are equal to the last bit.
        """
        found = torch.zeros(len(i), dtype=torch.float64)
        pairs = torch.arange(len(i))
        if len(i) > len(self.a) + len(self.b):  # as where a model's samples are all alike
            same_a, same_b = self._equal_rows
            pairs = pairs[same_a[i] != same_b[j]]
        for part in pairs.split(PAIRS):
            gap = self.a[i[part]].double().sub_(self.b[j[part]])
            found[part] = gap.square_().sum(1)
        return found

    @cached_property
    def _equal_rows(self) -> tuple[Tensor, Tensor]:
        """A number for each row of either set; equal rows have equal numbers."""
        known: dict[bytes, int] = {}

        def numbers(rows: Tensor) -> Tensor:
            digests = (blake2b(row.data, digest_size=16).digest() for row in (rows + 0.0).numpy())
            return torch.tensor([known.setdefault(digest, len(known)) for digest in digests])

        return numbers(self.a), numbers(self.b)

    def _prepared(self, rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        parts = [(part.double() - self._centre).to(dtype) for part in rows.split(ROWS)]
        centred = torch.cat(parts) if parts else rows.to(dtype)
        norms = [part.double().square().sum(1) for part in centred.split(ROWS)]
        squared = torch.cat(norms) if norms else rows.new_empty(0)
        return centred.to(self.device), squared.to(self.device, dtype)


def _unit(dtype: torch.dtype) -> float:
    """The largest relative error of one rounding."""
    return torch.finfo(dtype).eps / 2
