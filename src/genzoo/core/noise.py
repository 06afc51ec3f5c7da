"""Randomness as an argument: a stream of random numbers for each sample.

The i-th image of a run depends on (seed, i) alone: not on the batch it happens to be in, the
number of processes, the device, or earlier random numbers. No other module takes random numbers
without a `Noise` (or a generator seeded by `split_seed`).

Numbers come from Philox 4x32-10 (`genzoo.core.philox`; Salmon et al. 2011), so there is no state
but a position. A stream is a key of 64 bits. Its counter, of 64 bits:

    upper bit 0: the other 63 are a position in the stream, which gives four numbers' words
    upper bit 1: the other 63 are a hash of names, which gives the key of a child

The keys of a run's samples are what the key made of its seed and names gives at the samples'
indices. All of it is arithmetic on whole batches on the device that needs the numbers; nothing
waits for the device.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from genzoo.core.philox import LOW, keys, places, words_

CHILDREN = -(2**63)  # as int64 has it: the counter's upper bit alone
BLOCK = 2**18  # words computed at once on the CPU: 2 MB with their numbers, which fits its cache


def split_seed(seed: int, *names: str | int) -> int:
    """A seed of 63 bits derived from another one and a path of names.

    Different paths give independent seeds; the same path always gives the same one.
    """
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class Noise:
    """A stream of random numbers for each sample of a batch.

    Numbers are computed on the device that needs them. Whole numbers and uniform ones are the same
    on every device, normal ones up to the last digits of logarithm, sine and cosine (below 1e-5).

    Args:
        seeds: one seed a sample, a whole number that int64 can hold: the key of its stream.
        device: of the numbers. Seeds in a tensor elsewhere are moved there.
    """

    def __init__(
        self, seeds: Sequence[int] | Int[Tensor, " b"], *, device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.seeds: Int[Tensor, " b"] = _placed(seeds, self.device)
        self._position = 0

    @classmethod
    def of(
        cls,
        seed: int,
        indices: Iterable[int] | Int[Tensor, " b"],
        *names: str | int,
        device: torch.device | str = "cpu",
    ) -> Noise:
        """The noise of the samples `indices` of a run with `seed`, for a purpose `names`."""
        own = _placed(indices, torch.device(device))
        return cls(keys(places(split_seed(seed, *names), own, like=own)), device=device)

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Noise:
        """A part of the batch, from the beginning of its streams."""
        return Noise(self.seeds[rows], device=self.device)

    def child(self, *names: str | int) -> Noise:
        """Independent streams for a named purpose; taking one does not disturb this one."""
        named = CHILDREN + split_seed(0, *names)
        return Noise(keys(places(self.seeds, named, like=self.seeds)), device=self.device)

    def normal(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Standard normal numbers of shape (b, *shape), float32, below 6.7 in size.

        Box and Muller (1958): a word of the first half gives a radius, one of the second half an
        angle, and they give a number of either half.
        """
        half = 4 * math.ceil(math.prod(shape) / 8)
        out = torch.empty(len(self), 2, half, device=self.device, dtype=torch.float32)
        numbers = out.new_empty(0)
        for rows, columns, words in self._blocks(2, half):
            if numbers.shape != words.shape:
                numbers = out.new_empty(words.shape)
            radius, angle = numbers.copy_(words)
            # From a word's size, whose steps are as fine at zero as anywhere: (0, 1], so that the
            # logarithm is finite.
            radius.abs_().mul_(2.0**-31).add_(2.0**-32).log_().mul_(-2).sqrt_()
            angle.mul_(math.pi * 2.0**-31)
            torch.cos(angle, out=out[rows, 0, columns]).mul_(radius)
            torch.sin(angle, out=out[rows, 1, columns]).mul_(radius)
        return self._taken(out.flatten(1), shape)

    def uniform(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Numbers of shape (b, *shape) in [0, 1): multiples of 2^-24, float32."""
        count = 4 * math.ceil(math.prod(shape) / 4)
        out = torch.empty(len(self), count, device=self.device, dtype=torch.float32)
        for rows, columns, (words,) in self._blocks(1, count):
            words.bitwise_right_shift_(8).bitwise_and_(2**24 - 1)
            out[rows, columns].copy_(words).mul_(2.0**-24)
        return self._taken(out, shape)

    def integers(self, high: int, *shape: int) -> Int[Tensor, "b ..."]:
        """Whole numbers of shape (b, *shape), from 0 to `high` - 1, int64.

        Their chances differ by less than 2^-32.

        Raises:
            ValueError: `high` is not between 1 and 2^31.
        """
        if not 1 <= high <= 2**31:
            raise ValueError(f"integers up to {high}: give a number between 1 and 2^31")
        count = 4 * math.ceil(math.prod(shape) / 4)
        out = torch.empty(len(self), count, device=self.device, dtype=torch.int64)
        for rows, columns, (words,) in self._blocks(1, count):
            part = out[rows, columns].copy_(words)
            part.bitwise_and_(LOW).mul_(high).bitwise_right_shift_(32)
        return self._taken(out, shape)

    def _taken(self, numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The requested part of `numbers`, rounded up to whole counters; the stream advances."""
        self._position += numbers.shape[1] // 4
        return numbers[:, : math.prod(shape)].reshape(len(self), *shape)

    def _blocks(
        self, parts: int, columns: int
    ) -> Iterator[tuple[slice, slice, Int32[Tensor, "parts r c"]]]:
        """The words of shape (b, parts, columns), in blocks that stay in the CPU's cache.

        Many rows, or a part of one; elsewhere than on the CPU, all of them. The memory is used
        again for the next block.
        """
        most = BLOCK // parts if self.device.type == "cpu" else len(self) * columns
        wide = max(min(columns, most), 1)
        high = max(min(len(self), most // wide), 1)
        memory = torch.empty(high * parts * wide, dtype=torch.int32, device=self.device)
        for column in range(0, columns, wide):
            c = min(wide, columns - column)
            first = [self._position + (part * columns + column) // 4 for part in range(parts)]
            at = [places(self.seeds, counter, like=self.seeds) for counter in first]
            for row in range(0, len(self), high):
                rows = slice(row, min(row + high, len(self)))
                words = memory[: (rows.stop - row) * parts * c].view(-1, parts, c)
                if c == columns:  # parts follow one another
                    words_(words.flatten(1), at[0][rows])
                else:
                    for part, place in enumerate(at):
                        words_(words[:, part], place[rows])
                yield rows, slice(column, column + c), words.transpose(0, 1)


def _placed(numbers: Iterable[int] | Tensor, device: torch.device) -> Int[Tensor, " b"]:
    """Whole numbers as int64 on `device`; the host does not wait for it."""
    if not isinstance(numbers, Tensor):
        numbers = torch.tensor(list(numbers), dtype=torch.int64, device="cpu")
    return numbers.to(device, torch.int64, non_blocking=True)
