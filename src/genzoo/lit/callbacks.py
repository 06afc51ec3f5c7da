"""Callbacks after each training step: the image counter, the budget, and intervals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import pytorch_lightning as pl
import torch

from genzoo.core.types import Batch
from genzoo.lit.module import GenerativeModule
from genzoo.machine import distributed, signals


class AfterStep(pl.Callback, ABC):
    """A callback with a hook after every training step."""

    @abstractmethod
    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        """The hook, with the batch of the step."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.after_step(trainer, pl_module, batch)


class ImageCounter(AfterStep):
    """Counts images, before any other callback reads the count, and training seconds.

    Lightning calls the module's own hook last, after a checkpoint of this step would have been
    written with the old count.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        pl_module.start_clock()

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        assert isinstance(pl_module, GenerativeModule)
        pl_module.stepping = True

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        module.count(batch)


class Budget(AfterStep):
    """Ends training when the images or the minutes are used up, or on a signal.

    At the end of the budget it ends after a whole optimiser step; on a signal (see
    `genzoo.machine.signals`) after this batch, as batches may take long.

    Args:
        images: seen by all processes, or None.
        minutes: of training, or None.
    """

    def __init__(self, *, images: int | None, minutes: float | None) -> None:
        self.images, self.minutes = images, minutes
        self.complete = False  # used up
        self.interrupted = False  # by a signal to any process
        self._signal, self._clock = distributed.Vote(), distributed.Vote()
        self._over = False  # the minutes, by any process's clock

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.complete = self.done(pl_module)  # as a resumed run may have used it up already
        trainer.should_stop = self.complete

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        # Clocks and signals differ between processes: all stop together, or one would wait.
        self.interrupted = self._signal(signals.received() is not None)
        self._over = self._over or self._clock(self._late(module.elapsed()))
        self.complete = module.whole and (self._enough(module) or self._over)
        if self.interrupted or self.complete:
            self.interrupted |= self._signal.close()
            self._clock.close()
            trainer.should_stop = True

    def done(self, module: pl.LightningModule) -> bool:
        """Whether the budget is used up, before training starts or resumes."""
        assert isinstance(module, GenerativeModule)
        return self._enough(module) or self._late(module.seconds)

    def _enough(self, module: GenerativeModule) -> bool:
        return self.images is not None and module.images_seen >= self.images

    def _late(self, seconds: float) -> bool:
        return self.minutes is not None and seconds >= 60 * self.minutes


class Every:
    """True once for every so many images seen.

    Args:
        images: of an interval; None for never.
    """

    def __init__(self, images: int | None) -> None:
        self.images = images
        self._due: float = float("inf")

    def start(self, seen: int) -> None:
        """Start counting from here."""
        if self.images is not None:
            self._due = (seen // self.images + 1) * self.images

    def __call__(self, seen: int) -> bool:
        if seen < self._due:
            return False
        self.start(seen)
        return True
