"""The one Lightning datamodule that every family of models trains from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from genzoo.core.types import Batch
from genzoo.data.dataset import TextImageData
from genzoo.data.stream import ShuffledStream
from genzoo.machine import signals
from genzoo.text.tokenizer import Tokenizer


class TextImageDataModule(pl.LightningDataModule):
    """Endless shuffled training batches, and each validation image once.

    Lightning must leave the samplers alone (`Trainer(use_distributed_sampler=False)`): the
    stream already deals the images to the ranks, and padding would count some of them twice.

    Args:
        data: the captioned images.
        tokenizer: of the captions.
        batch_size: images a step on each process.
        seed: of the order, and of which caption of an image a visit shows.
        workers: processes that load batches; 0 to load them in the training process.
        start_images: images that all processes together have seen; may be set until `fit`.
    """

    def __init__(
        self,
        data: TextImageData,
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        start_images: int = 0,
    ) -> None:
        super().__init__()
        self.data = data
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.start_images = start_images

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of `ShuffledStream` without end."""
        rank, world = self._place()
        stream = ShuffledStream(
            self.data.views("train"),
            seed=self.seed,
            batch_size=self.batch_size,
            start_images=self.start_images,
            rank=rank,
            world=world,
            visit=partial(self.data.visited, seed=self.seed),
        )
        return self._loader(stream)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every image of the validation split once over all ranks, the last batch short."""
        rank, world = self._place()
        mine = self.data.split("validation")[rank::world]
        return self._loader(Chunks(mine.tolist(), self.batch_size))

    def _loader(self, batches: ShuffledStream | Chunks) -> DataLoader[Batch]:
        self.data.tokens(self.tokenizer)  # before workers fork, so that they share the work
        return DataLoader(
            Batches(self.data, self.tokenizer),
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=_as_is,  # type: ignore[arg-type]
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=signals.in_worker,
            pin_memory=torch.cuda.is_available(),
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """A batch on its way: Lightning by itself would wait for each of its tensors."""
        return batch.to(device, non_blocking=True)

    def _place(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


class Chunks:
    """Consecutive parts of a list, the last one short."""

    def __init__(self, indices: Sequence[int], batch_size: int) -> None:
        self.indices = indices
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Sequence[int]]:
        for start in range(0, len(self.indices), self.batch_size):
            yield self.indices[start : start + self.batch_size]


class Batches(Dataset[Batch]):
    """Whole batches by their indices: one indexing operation each, nothing to collate."""

    def __init__(self, data: TextImageData, tokenizer: Tokenizer) -> None:
        self.data = data
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Batch:
        return self.data.batch([index], self.tokenizer)

    def __getitems__(self, indices: list[int]) -> Batch:
        """The loader calls this one with all indices of a batch."""
        return self.data.batch(indices, self.tokenizer)


def _as_is(batch: Batch) -> Batch:
    return batch
