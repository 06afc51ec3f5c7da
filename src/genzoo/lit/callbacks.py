"""What happens around the training steps: the budget, the curves, monitoring, checkpoints."""

from __future__ import annotations

import contextlib
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy

from genzoo.core.types import Batch
from genzoo.lit.health import Health, Unhealthy
from genzoo.lit.module import GenerativeModule
from genzoo.lit.writing import WriteError, write
from genzoo.machine import distributed, signals
from genzoo.machine.console import Progress, status
from genzoo.machine.signals import Interrupted
from genzoo.machine.track import Tracker
from genzoo.models.base import GenerativeModel


class AfterStep(pl.Callback, ABC):
    """A callback that does something after every training step."""

    @abstractmethod
    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        """Called with the step's batch."""

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
    """Counts images before any other callback looks, and training seconds.

    Lightning calls the module's own hook last, when a checkpoint of this step would already have
    been written with the old count.
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

    A used up budget ends it after a whole step; a signal (see `genzoo.machine.signals`) after this
    batch, for batches may take long and a scheduler does not wait.

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
        self.complete = self.done(pl_module)  # before a process ended that had not looked yet
        trainer.should_stop = self.complete

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        # Clocks and signals differ: all stop together, or one would wait for ever. All count the
        # same images.
        self.interrupted = self._signal(signals.received() is not None)
        self._over = self._over or self._clock(self._late(module.elapsed()))
        self.complete = module.whole and (self._enough(module) or self._over)
        if self.interrupted or self.complete:
            self.interrupted |= self._signal.close()
            self._clock.close()
            trainer.should_stop = True

    def done(self, module: pl.LightningModule) -> bool:
        """Whether the budget is used up, before training begins or goes on."""
        assert isinstance(module, GenerativeModule)
        return self._enough(module) or self._late(module.seconds)

    def _enough(self, module: GenerativeModule) -> bool:
        return self.images is not None and module.images_seen >= self.images

    def _late(self, seconds: float) -> bool:
        return self.minutes is not None and seconds >= 60 * self.minutes


class Every:
    """True each time another so many images have been seen.

    Args:
        images: between two times; None for never.
    """

    def __init__(self, images: int | None) -> None:
        self.images = images
        self._due: float = float("inf")

    def start(self, seen: int) -> None:
        """Count from here on."""
        if self.images is not None:
            self._due = (seen // self.images + 1) * self.images

    def __call__(self, seen: int) -> bool:
        if seen < self._due:
            return False
        self.start(seen)
        return True


class CurveLogger(AfterStep):
    """Learning curves against images seen and training seconds, and the progress on screen.

    Args:
        tracker: where points go.
        every: images between two points.
        budget: to say how far the training is; when it is used up there is a last point.
        health: looks at the losses.
    """

    def __init__(self, tracker: Tracker, *, every: int, budget: Budget, health: Health) -> None:
        self.tracker, self.health, self.budget = tracker, health, budget
        self._due = Every(every)
        self._progress = Progress("training, images seen", budget.images)
        self._start = (0, 0.0)
        self._note = ""

    @property
    def state_key(self) -> str:
        return "Curves"  # as checkpoints have it

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.tracker.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.tracker.keep(state_dict["points"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self._due.start(pl_module.images_seen)
        self._start = (pl_module.images_seen, pl_module.elapsed())
        self._progress.__enter__()

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        # After a signal the values wait in the checkpoint for the point that they belong to.
        if self._due(module.images_seen) or self.budget.complete:
            self._point(module)
        self._progress.at(module.images_seen, note=self._note)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._progress.__exit__()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._progress.__exit__()

    def _point(self, module: GenerativeModule) -> None:
        seen, seconds = module.images_seen, module.elapsed()
        values = module.meter.read()
        if module.scaler is not None:
            values["loss_scale"] = module.scaler.get_scale()
            self.health.check_scale(values["loss_scale"], images=seen)
        speed = (seen - self._start[0]) / max(seconds - self._start[1], 1e-9)
        self.health.check_losses(values, images=seen)
        totals = [f"{value:.4f}" for name, value in values.items() if name.endswith("total")]
        self._note = f"loss {' / '.join(totals)}, {speed:.0f} images/s"
        self.tracker.curve(
            {f"train/{name}": value for name, value in values.items()},
            images=seen,
            seconds=seconds,
        )


@dataclass(frozen=True)
class Samples:
    """What the moving average draws.

    Attributes:
        picture: a file of it.
        diversity: of it, as a share of real images'; None where it is a single one.
    """

    picture: Path
    diversity: float | None


@dataclass(frozen=True)
class ValidationResult:
    """What a look at the moving average saw.

    Attributes:
        losses: on held-out images, by name.
        samples: None for a model that draws none.
    """

    losses: dict[str, float]
    samples: Samples | None


class Monitor(AfterStep):
    """Now and then, with the clock stopped, looks at the moving average: losses and samples.

    A signal cuts a look off. The checkpoint knows of the last look, and one that is owed is the
    first thing that a resumed training does.

    Args:
        tracker: where the numbers go.
        every: images between two looks; the last one is when training ends. None for none.
        look: at the model as it is now; it calls what it is given between its parts.
        budget: when it is used up there is a last look.
        health: looks at the samples.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        every: int | None,
        look: Callable[[Callable[[], None]], ValidationResult],
        budget: Budget,
        health: Health,
    ) -> None:
        self.tracker, self.look, self.budget, self.health = tracker, look, budget, health
        self._due = Every(every)
        self._looked: int | None = None  # images seen at the last look

    def state_dict(self) -> dict[str, Any]:
        return {"looked": self._looked, "alike": self.health.alike}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._looked, self.health.alike = state_dict["looked"], state_dict["alike"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if self._looked is None:
            self._looked = pl_module.images_seen
        self._due.start(self._looked)
        pl_module.ema.copy_buffers(pl_module.model)  # as in training; a saved one is calibrated
        self._look_if_due(trainer, pl_module)

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        if module.whole and not self.budget.interrupted:
            self._look_if_due(trainer, module)

    def _look_if_due(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        wanted = self._due.images is not None and self._looked != module.images_seen
        if not wanted or not (self._due(module.images_seen) or self.budget.complete):
            return
        module.stop_clock()
        try:
            # Processes that exchange something while they look can only stop together.
            alone = trainer.world_size == 1
            with signals.interruptible() if alone else contextlib.nullcontext():
                look = self.look(partial(_stop_together, trainer))
        except Interrupted:
            self.budget.interrupted = trainer.should_stop = True
        else:
            self._looked = module.images_seen
            self._report(look, module)
        module.start_clock()

    def _report(self, look: ValidationResult, module: GenerativeModule) -> None:
        # All ranks look, for sharded weights have to be gathered; the first one's tracker writes.
        seen, values = module.images_seen, dict(look.losses)
        spread = None if look.samples is None else look.samples.diversity
        if spread is not None:
            values["diversity"] = spread
        self.tracker.curve(
            {f"validation/{name}": value for name, value in values.items()},
            images=seen,
            seconds=module.seconds,
        )
        if look.samples is not None:
            self.tracker.picture("samples", look.samples.picture, images=seen)
        if spread is not None:
            self.health.check_samples(spread, images=seen)


def _stop_together(trainer: pl.Trainer) -> None:
    """Raise `Interrupted` in all processes after a signal to one of them."""
    number = signals.received()
    if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(
        number is not None, all=False
    ):
        raise Interrupted(number or signal.SIGTERM)


class Checkpointer(AfterStep):
    """Writes checkpoints/last.ckpt every so many minutes and when training ends or fails.

    Args:
        path: the file.
        minutes: between two writings.
        prior_batches: training batches for `GenerativeModel.fit_sampling_prior`, on the
            model's device.
        budget: whether training ends because of a signal, when nothing may take long.
        health: looks at the weights; while it finds the samples suspect, nothing is overwritten.
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
        self._kept = 0  # images that the file counts
        self._wanted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self._saved = time.monotonic()
        self._kept = pl_module.images_seen
        # No step follows, and so no other save: the file may lie in another folder, or come from
        # a rescue that could not calibrate.
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
                status(f"{error.problem}; the training goes on, and it is tried again later")

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Keep the last whole step, if it is sound and newer than the file.

        The other processes may be gone. Without them the first one has the whole state, unless
        weights are sharded.
        """
        assert isinstance(pl_module, GenerativeModule)
        sharded = isinstance(trainer.strategy, ModelParallelStrategy)
        newer = not pl_module.stepping and pl_module.kept_images() > self._kept
        told = isinstance(exception, (Unhealthy, WriteError))  # a second attempt fails likewise
        if told or not newer or sharded or distributed.rank() > 0:
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
        try:  # what drawing needs comes after what resuming needs
            self._calibrate(trainer, pl_module)
            self._write(trainer, pl_module)
        except Exception as error:
            status(f"samples are not fitted to the last steps ({error}); going on fits them")

    def save(
        self, trainer: pl.Trainer, module: GenerativeModule, *, fit_sampling_prior: bool = True
    ) -> None:
        """Calibrate the moving average and write the file, whole or not at all.

        All processes do this together, and all learn whether it could be written.

        Raises:
            WriteError: when the disk is full, say; the file that was there still is.
            Unhealthy: when weights are no numbers.
        """
        module.stop_clock()
        self.health.check_weights(module.model, images=module.images_seen)
        if fit_sampling_prior:
            self._calibrate(trainer, module)
        module.reshard()
        error: WriteError | None = None
        try:
            self._write(trainer, module)
        except WriteError as found:
            error = found
        error = distributed.from_first(error)
        module.start_clock()  # the training goes on without the file, too
        if error is not None:
            raise error
        self._rest()

    def _rest(self) -> None:
        self._saved, self._wanted = time.monotonic(), False

    def _save_last(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if self.budget.interrupted:  # what resuming needs first, then what drawing needs
            self.save(trainer, module, fit_sampling_prior=False)
            if not _calibrates(module):
                return
        self.save(trainer, module)

    def _calibrate(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            module.ema.model.fit_sampling_prior(self.prior_batches())

    def _write(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        content = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        if distributed.rank() == 0:
            write(content, self.path)
        self._kept = module.kept_images()


def _calibrates(module: GenerativeModule) -> bool:
    """Whether drawing needs more of the moving average than its weights."""
    return type(module.ema.model).fit_sampling_prior is not GenerativeModel.fit_sampling_prior
