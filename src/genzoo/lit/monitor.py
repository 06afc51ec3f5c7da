"""Validation during training: losses and samples on held-out images."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genzoo.core.types import Batch
from genzoo.lit.callbacks import AfterStep, Budget, Every
from genzoo.lit.health import Health
from genzoo.lit.module import GenerativeModule
from genzoo.machine import signals
from genzoo.machine.signals import Interrupted
from genzoo.machine.track import Tracker


@dataclass(frozen=True)
class Samples:
    """Samples of the moving average.

    Attributes:
        image: the file of their grid.
        diversity: of them, relative to real images; None for a single one.
    """

    image: Path
    diversity: float | None


@dataclass(frozen=True)
class ValidationResult:
    """The result of validating the moving average.

    Attributes:
        losses: on held-out images, by name.
        samples: None for a model without samples.
    """

    losses: dict[str, float]
    samples: Samples | None


class Monitor(AfterStep):
    """Validates the moving average at intervals, with the clock stopped: losses and samples.

    A signal interrupts a validation. The checkpoint records the last one, and a resumed training
    starts with one that is overdue.

    Args:
        tracker: where the numbers go.
        every: images between validations; the last one is when training ends. None for none.
        look: validates the current model, and calls its argument between parts.
        budget: at its end there is a last validation.
        health: checks the samples.
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
        self._looked: int | None = None  # images seen at the last validation

    def state_dict(self) -> dict[str, Any]:
        return {"looked": self._looked, "alike": self.health.alike}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._looked, self.health.alike = state_dict["looked"], state_dict["alike"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if self._looked is None:
            self._looked = pl_module.images_seen
        self._due.start(self._looked)
        pl_module.ema.copy_buffers(
            pl_module.model
        )  # as in training; a saved one has a fitted sampling prior
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
            # Processes that communicate during a validation can only stop together.
            alone = trainer.world_size == 1
            with signals.interruptible() if alone else contextlib.nullcontext():
                look = self.look(partial(stop_together, trainer))
        except Interrupted:
            self.budget.interrupted = trainer.should_stop = True
        else:
            self._looked = module.images_seen
            self._report(look, module)
        module.start_clock()

    def _report(self, look: ValidationResult, module: GenerativeModule) -> None:
        # All ranks validate, as sharded weights are gathered; the first one's tracker writes.
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
            self.tracker.image("samples", look.samples.image, images=seen)
        if spread is not None:
            self.health.check_samples(spread, images=seen)


def stop_together(trainer: pl.Trainer) -> None:
    """Raise `Interrupted` in all processes after a signal to one of them."""
    number = signals.received()
    if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(
        number is not None, all=False
    ):
        raise Interrupted(number or signal.SIGTERM)
