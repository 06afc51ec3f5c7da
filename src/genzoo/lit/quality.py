"""Quality during training: the metrics of samples at chosen budgets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl

from genzoo.core.types import Batch
from genzoo.lit.callbacks import AfterStep, Budget
from genzoo.lit.checkpointer import Checkpointer
from genzoo.lit.module import GenerativeModule
from genzoo.lit.monitor import stop_together
from genzoo.machine import distributed, signals
from genzoo.machine.signals import Interrupted
from genzoo.machine.track import Tracker


class QualityMonitor(AfterStep):
    """Measures samples of the moving average at chosen budgets, with the clock stopped.

    A budget is a number of images seen, or minutes of training. It is measured at the first whole
    step that reaches it. A signal interrupts a measurement; a resumed training begins with it.

    Args:
        tracker: where the numbers go, as ``quality/<metric>``.
        at: the budgets: whole numbers are images, and texts such as "5min" are minutes.
        measure: the metrics of the current moving average by name; calls its argument between
            batches.
        checkpointer: fits what sampling needs beyond weights.
        budget: of the training.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        at: Sequence[int | str],
        measure: Callable[[Callable[[], None]], Mapping[str, float]],
        checkpointer: Checkpointer,
        budget: Budget,
    ) -> None:
        self.tracker, self.measure = tracker, measure
        self.checkpointer, self.budget = checkpointer, budget
        self._images = sorted(value for value in at if isinstance(value, int))
        self._minutes = sorted(minutes(value) for value in at if isinstance(value, str))
        self._clock = distributed.Vote()
        self._wanted = False
        self._images_done: int | None = None  # budgets up to these have been measured
        self._minutes_done: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"images": self._images_done, "minutes": self._minutes_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._images_done, self._minutes_done = state_dict["images"], state_dict["minutes"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if self._images_done is None or self._minutes_done is None:
            self._images_done = pl_module.images_seen
            self._minutes_done = pl_module.seconds / 60
        if self._due(pl_module.images_seen, pl_module.seconds / 60):  # it was interrupted
            self._measure(trainer, pl_module)

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        late = self._due(0, module.elapsed() / 60)
        if self._minutes:  # clocks differ between processes
            late = self._clock(late)
        self._wanted = self._wanted or late or self._due(module.images_seen, 0.0)
        if self._wanted and module.whole and not self.budget.interrupted:
            self._measure(trainer, module)
        if trainer.should_stop:
            self._clock.close()

    def _due(self, images: int, minutes: float) -> bool:
        """Whether a budget lies between the last measurement and this moment."""
        assert self._images_done is not None
        assert self._minutes_done is not None
        return _within(self._images, self._images_done, images) or _within(
            self._minutes, self._minutes_done, minutes
        )

    def _measure(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        module.stop_clock()
        self._wanted = False
        try:
            # Processes that communicate during a measurement can only stop together.
            alone = trainer.world_size == 1
            with signals.interruptible() if alone else contextlib.nullcontext():
                self.checkpointer.fit_sampling_prior(trainer, module)
                values = self.measure(partial(stop_together, trainer))
        except Interrupted:
            self.budget.interrupted = trainer.should_stop = True
        else:
            self._images_done, self._minutes_done = module.images_seen, module.seconds / 60
            self.tracker.curve(
                {f"quality/{name}": value for name, value in values.items()},
                images=module.images_seen,
                seconds=module.seconds,
            )
        module.ema.copy_buffers(module.model)  # as in training
        module.start_clock()


def minutes(value: str) -> float:
    """Minutes of training, from a text such as "5min"."""
    return float(value.removesuffix("min"))


def _within(budgets: Sequence[float], done: float, now: float) -> bool:
    return any(done < budget <= now for budget in budgets)
