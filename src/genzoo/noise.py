"""Randomness as an argument: one generator per sample.

The i-th image of a run depends on (seed, i) alone: not on the batch it happens to be in, the
number of processes, or what was drawn before it. No other module draws random numbers without
a `Noise` (or a generator seeded by `split_seed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def split_seed(seed: int, *names: str | int) -> int:
    """A seed of 63 bits derived from another one and a path of names.

    Different paths give independent seeds; the same path always gives the same one.
    """
    text = "/".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class Noise:
    """A stream of random numbers for each sample of a batch.

    Numbers are drawn on the CPU and then moved, so that a GPU draws the same pictures.

    Args:
        seeds: one seed a sample.
        device: where the drawn tensors are wanted.
    """

    def __init__(self, seeds: Sequence[int], *, device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(int(seed) for seed in seeds)
        self.device = torch.device(device)
        self._generators: list[torch.Generator] | None = None

    @classmethod
    def of(
        cls,
        seed: int,
        indices: Iterable[int] | Tensor,
        *names: str | int,
        device: torch.device | str = "cpu",
    ) -> Noise:
        """The noise of the samples `indices` of a run with `seed`, for a purpose `names`."""
        numbers = indices.tolist() if isinstance(indices, Tensor) else indices
        return cls([split_seed(seed, *names, int(i)) for i in numbers], device=device)

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Noise:
        """A part of the batch, from the beginning of its streams."""
        return Noise(self.seeds[rows], device=self.device)

    def child(self, *names: str | int) -> Noise:
        """Independent streams for a named purpose; taking one does not disturb this one."""
        return Noise([split_seed(seed, *names) for seed in self.seeds], device=self.device)

    def normal(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Standard normal numbers of shape (b, *shape)."""
        return self._draw(lambda g: torch.randn(shape, generator=g))

    def uniform(self, *shape: int) -> Float[Tensor, "b ..."]:
        """Numbers of shape (b, *shape) in [0, 1)."""
        return self._draw(lambda g: torch.rand(shape, generator=g))

    def integers(self, high: int, *shape: int) -> Int[Tensor, "b ..."]:
        """Whole numbers of shape (b, *shape), from 0 to `high` - 1."""
        return self._draw(lambda g: torch.randint(high, shape, generator=g))

    def _draw(self, one) -> Tensor:  # type: ignore[no-untyped-def]
        if self._generators is None:
            self._generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        return torch.stack([one(g) for g in self._generators]).to(self.device, non_blocking=True)
