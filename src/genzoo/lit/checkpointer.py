"""Writes checkpoints at intervals, and rescues the last step of a failed training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy

from genzoo.core.types import Batch
from genzoo.lit.callbacks import AfterStep, Budget
from genzoo.lit.health import Health, Unhealthy
from genzoo.lit.module import GenerativeModule
from genzoo.lit.writing import WriteError, write
from genzoo.machine import distributed
from genzoo.machine.console import status
from genzoo.models.base import GenerativeModel


class Checkpointer(AfterStep):
    """Writes checkpoints/last.ckpt at intervals, and when training ends or fails.

    Args:
        path: the file.
        minutes: between two checkpoints.
        prior_batches: training batches for `GenerativeModel.fit_sampling_prior`, on the
            model's device.
        budget: whether training ends because of a signal, when there is little time.
        health: checks the weights; while samples are suspect, nothing is overwritten.
    """

    def __init__(
        self,
        path: Path,
        *,
        minutes: float,
        prior_batches: Callable[[], Iterable[Batch]],
        budget: Budget,
        health: Health,
    ) -> None:
        self.path, self.minutes = path, minutes
        self.prior_batches, self.budget, self.health = prior_batches, budget, health
        self.rescued: int | None = None  # images of the state that was kept from a failure
        self._due = distributed.Vote()
        self._saved = time.monotonic()
        self._kept = 0  # images seen, in the file
        self._wanted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self._saved = time.monotonic()
        self._kept = pl_module.images_seen
        # No step follows, and so no other save: the file may lie in another folder, or come from
        # a rescue that could not fit the sampling prior.
        if trainer.should_stop:
            self._save_last(trainer, pl_module)

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        if not self._wanted:
            self._wanted = self._due(time.monotonic() - self._saved >= 60 * self.minutes)
        if trainer.should_stop:
            self._due.close()
            self._save_last(trainer, module)
        elif self._wanted and module.whole and not self.health.suspect:
            try:
                self.save(trainer, module)
            except WriteError as error:
                self._rest()
                status(f"{error.problem}; the training continues, and saving is tried again later")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Save the last whole step, if it is valid and newer than the file.

        The other processes may be gone. Without them the first one has the whole state, unless
        weights are sharded.
        """
        assert isinstance(pl_module, GenerativeModule)
        sharded = isinstance(trainer.strategy, ModelParallelStrategy)
        newer = not pl_module.stepping and pl_module.kept_images() > self._kept
        explained = isinstance(
            exception, (Unhealthy, WriteError)
        )  # a second attempt would fail as well
        if explained or not newer or sharded or distributed.rank() > 0:
            return
        try:
            self.health.check_weights(pl_module.model, images=pl_module.kept_images())
            self._write(trainer, pl_module)
            self.rescued = pl_module.kept_images()
        except Exception as error:
            status(f"the last steps could not be saved ({error})")
            return
        if not _calibrates(pl_module):
            return
        try:  # what sampling needs comes after what resuming needs
            self.fit_sampling_prior(trainer, pl_module)
            self._write(trainer, pl_module)
        except Exception as error:
            status(f"samples are not fitted to the last steps ({error}); going on fits them")

    def save(
        self, trainer: pl.Trainer, module: GenerativeModule, *, fit_sampling_prior: bool = True
    ) -> None:
        """Fit the sampling prior of the moving average and write the file atomically.

        Called by all processes together; all learn whether it could be written.

        Raises:
            WriteError: for a full disk and the like; the earlier file is kept.
            Unhealthy: if weights are not finite.
        """
        module.stop_clock()
        self.health.check_weights(module.model, images=module.images_seen)
        if fit_sampling_prior:
            self.fit_sampling_prior(trainer, module)
        module.reshard()
        error: WriteError | None = None
        try:
            self._write(trainer, module)
        except WriteError as found:
            error = found
        error = distributed.from_first(error)
        module.start_clock()  # training continues without the file
        if error is not None:
            raise error
        self._rest()

    def _rest(self) -> None:
        self._saved, self._wanted = time.monotonic(), False

    def _save_last(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if self.budget.interrupted:  # first what resuming needs, then what sampling needs
            self.save(trainer, module, fit_sampling_prior=False)
            if not _calibrates(module):
                return
        self.save(trainer, module)

    def fit_sampling_prior(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Fit what the moving average needs beyond weights to generate samples."""
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            module.ema.model.fit_sampling_prior(self.prior_batches())

    def _write(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        content = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        if distributed.rank() == 0:
            write(content, self.path)
        self._kept = module.kept_images()


def _calibrates(module: GenerativeModule) -> bool:
    """Whether sampling needs more than the weights of the moving average."""
    return type(module.ema.model).fit_sampling_prior is not GenerativeModel.fit_sampling_prior
