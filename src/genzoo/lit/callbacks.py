"""What happens around the training steps: the budget, the curves, monitoring, checkpoints."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch

from genzoo import distributed
from genzoo.console import Progress, say
from genzoo.lit.health import Health
from genzoo.lit.module import GenerativeModule
from genzoo.track import Tracker
from genzoo.types import Batch


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


class Count(AfterStep):
    """Counts images before any other callback looks.

    Lightning calls the module's own hook last, when a checkpoint of this step would already have
    been written with the old count.
    """

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        module.count(batch)


class Budget(AfterStep):
    """Ends training when the images or the minutes are used up, or on Ctrl-C, in good order.

    The first Ctrl-C (or SIGTERM) ends training after the current step, so that a checkpoint can
    be written; the second one ends it at once.

    Args:
        images: seen by all processes, or None.
        minutes: of training, or None.
    """

    def __init__(self, *, images: int | None, minutes: float | None) -> None:
        self.images, self.minutes = images, minutes
        self.interrupted = False
        self._stop = distributed.Vote()
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._interrupt)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._restore()

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        # Clocks differ: all stop together, or one would wait for ever. All count the same images.
        if self._stop(self.interrupted or self._late(module)) or self._enough(module):
            self._stop.close()
            trainer.should_stop = True

    def done(self, module: pl.LightningModule) -> bool:
        """Whether the budget is used up."""
        assert isinstance(module, GenerativeModule)
        return self._enough(module) or self._late(module)

    def _enough(self, module: GenerativeModule) -> bool:
        return self.images is not None and module.images_seen >= self.images

    def _late(self, module: GenerativeModule) -> bool:
        return self.minutes is not None and module.elapsed() >= 60 * self.minutes

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        say("stopping after this step; press Ctrl-C again to stop at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class Every:
    """True each time another so many images have been seen."""

    def __init__(self, images: int | None) -> None:
        self.images = images
        self._due: int | None = None

    def __call__(self, seen: int) -> bool:
        if self.images is None:
            return False
        if self._due is None:
            self._due = (seen // self.images + 1) * self.images
            return False
        if seen < self._due:
            return False
        self._due = (seen // self.images + 1) * self.images
        return True


class Curves(AfterStep):
    """Learning curves against images seen and training seconds, and the progress on screen.

    Args:
        tracker: where points go.
        every: images between two points.
        budget: to say how far the training is.
        health: looks at the losses.
    """

    def __init__(self, tracker: Tracker, *, every: int, budget: Budget, health: Health) -> None:
        self.tracker, self.health = tracker, health
        self._due = Every(every)
        self._progress = Progress("training, images seen", budget.images)
        self._start = (0, 0.0)
        self._note = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self._due(pl_module.images_seen)
        self._start = (pl_module.images_seen, pl_module.elapsed())
        self._progress.__enter__()

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        if self._due(module.images_seen) or trainer.should_stop:
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
        diversity: of it, as a share of real images'.
    """

    picture: Path
    diversity: float


@dataclass(frozen=True)
class Look:
    """What a look at the moving average saw.

    Attributes:
        losses: on held-out images, by name.
        samples: None for a model that draws none.
    """

    losses: dict[str, float]
    samples: Samples | None


class Monitor(AfterStep):
    """Now and then, with the clock stopped, looks at the moving average: losses and samples.

    Args:
        tracker: where the numbers go.
        every: images between two looks; the last one is when training ends. None for none.
        look: at the model as it is now.
        health: looks at the samples.
    """

    def __init__(
        self, tracker: Tracker, *, every: int | None, look: Callable[[], Look], health: Health
    ) -> None:
        self.tracker, self.look, self.health = tracker, look, health
        self._due = Every(every)

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        last = trainer.should_stop and self._due.images is not None
        if not self._due(module.images_seen) and not last:
            return
        module.stop_clock()
        # All ranks look, for sharded weights have to be gathered; the first one's tracker writes.
        seen, look = module.images_seen, self.look()
        values = dict(look.losses)
        if look.samples is not None:
            values["diversity"] = look.samples.diversity
        self.tracker.curve(
            {f"validation/{name}": value for name, value in values.items()},
            images=seen,
            seconds=module.seconds,
        )
        if look.samples is not None:
            self.tracker.picture("samples", look.samples.picture, images=seen)
            self.health.check_samples(look.samples.diversity, images=seen)
        module.start_clock()


class Saver(AfterStep):
    """Writes checkpoints/last.ckpt every so many minutes and when training ends or fails.

    Args:
        path: the file.
        minutes: between two writings.
        calibration: training batches for `GenerativeModel.calibrate`, on the model's device.
        health: looks at the weights; while it finds the samples suspect, nothing is overwritten.
    """

    def __init__(
        self,
        path: Path,
        *,
        minutes: float,
        calibration: Callable[[], Iterable[Batch]],
        health: Health,
    ) -> None:
        self.path, self.minutes = path, minutes
        self.calibration, self.health = calibration, health
        self._due = distributed.Vote()
        self._saved = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self._saved = time.monotonic()
        pl_module.start_clock()

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        due = self._due(time.monotonic() - self._saved >= 60 * self.minutes)
        if trainer.should_stop:
            self._due.close()
        if (due and not self.health.suspect) or trainer.should_stop:
            self.save(trainer, module)

    def save(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Calibrate the moving average and write the file, atomically."""
        assert isinstance(module, GenerativeModule)
        module.stop_clock()
        self.health.check_weights(module.model, images=module.images_seen)
        ema = module.ema.model
        with torch.no_grad():
            ema.calibrate(self.calibration())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        module.reshard()
        fresh = self.path.with_suffix(".new")
        trainer.save_checkpoint(fresh)
        if distributed.rank() == 0:
            fresh.replace(self.path)
        self._saved = time.monotonic()
        module.start_clock()
