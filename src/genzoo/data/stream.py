"""In which order images are shown: an endless stream that can be entered anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

from genzoo.core.noise import split_seed


class ShuffledStream(Sampler[list[int]]):
    """Endless batches of shuffled numbers.

    Position p of the stream is place p % n of the p // n-th shuffle, which depends on the seed
    and that number alone: nothing has to be remembered to go on after any number of images. The
    ranks share the stream step by step, so that two of them with half the batch each see exactly
    the images of one with the whole batch. A batch may reach over the end of a shuffle; none is
    short.

    Args:
        indices: the items to be shown.
        seed: of the shuffles.
        batch_size: images a step on this rank.
        start_images: images that all ranks together have already seen.
        rank: of this process.
        world: number of processes.
        visit: what becomes of shuffled items on a visit, given how often each was shown before;
            None to show them as they are.
    """

    def __init__(
        self,
        indices: Sequence[int] | np.ndarray,
        *,
        seed: int,
        batch_size: int,
        start_images: int = 0,
        rank: int = 0,
        world: int = 1,
        visit: Callable[[np.ndarray, int], np.ndarray] | None = None,
    ) -> None:
        if len(indices) == 0 or batch_size < 1 or start_images < 0 or not 0 <= rank < world:
            raise ValueError("needs items, a batch, a start of 0 or more, and a rank below world")
        self.indices = np.asarray(indices, dtype=np.int64)
        self.seed = seed
        self.batch_size = batch_size
        self.start_images = start_images
        self.rank = rank
        self.world = world
        self.visit = visit
        self._shuffled = -1, self.indices  # the shuffle in use and its number

    def __iter__(self) -> Iterator[list[int]]:
        position = self.start_images + self.rank * self.batch_size
        while True:
            yield self.at(position, self.batch_size).tolist()
            position += self.world * self.batch_size

    def at(self, position: int, count: int) -> np.ndarray:
        """The items at `count` consecutive positions of the stream."""
        parts = []
        while count > 0:
            epoch, place = divmod(position, len(self.indices))
            part = self._shuffle(epoch)[place : place + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts)

    def _shuffle(self, epoch: int) -> np.ndarray:
        if self._shuffled[0] != epoch:
            seed = split_seed(self.seed, "shuffle", epoch)
            order = torch.randperm(
                len(self.indices), generator=torch.Generator().manual_seed(seed)
            )
            shuffled = self.indices[order.numpy()]
            self._shuffled = epoch, self.visit(shuffled, epoch) if self.visit else shuffled
        return self._shuffled[1]
