"""The mixed-precision plugin for Lightning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytorch_lightning import LightningModule
from pytorch_lightning.plugins.precision.amp import MixedPrecision
from pytorch_lightning.plugins.precision.precision import Precision as LightningPrecision


class Mixed(MixedPrecision):
    """Autocast, and under `16-mixed` a gradient scaler, on CPUs as well.

    Lightning assumes that fused optimisers unscale gradients in their own step, and neither
    unscales nor clips for them. torch's scaler supports unscaled gradients: it only
    passes on whether they overflowed, and a fused optimiser then skips its step without
    synchronisation.
    """

    def optimizer_step(  # type: ignore[override]
        self,
        optimizer: Any,
        model: LightningModule,
        closure: Callable[[], Any],
        **kwargs: Any,
    ) -> Any:
        if self.scaler is None:
            return LightningPrecision.optimizer_step(self, optimizer, model, closure, **kwargs)
        result = closure()
        if result is None and model.automatic_optimization:
            return result  # there was no backward pass
        self.scaler.unscale_(optimizer)
        self._after_closure(model, optimizer)  # gradients are clipped here
        done = self.scaler.step(optimizer, **kwargs)
        self.scaler.update()
        return done

    def clip_gradients(self, *arguments: Any, **options: Any) -> None:
        """Clip unscaled gradients by their norm."""
        LightningPrecision.clip_gradients(self, *arguments, **options)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the scale; a checkpoint of another precision has none."""
        if state_dict:
            super().load_state_dict(state_dict)
