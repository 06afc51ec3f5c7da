"""Learning curves, and the progress on screen."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from genzoo.core.types import Batch
from genzoo.lit.callbacks import AfterStep, Budget, Every
from genzoo.lit.health import Health
from genzoo.lit.module import GenerativeModule
from genzoo.machine.console import Progress
from genzoo.machine.track import Tracker


class CurveLogger(AfterStep):
    """Logs learning curves against images seen and training seconds, and shows progress.

    Args:
        tracker: where points go.
        every: images between two points.
        budget: for the progress; at its end there is a last point.
        health: checks the losses.
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
        # After a signal the pending values are kept in the checkpoint for the next point.
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
