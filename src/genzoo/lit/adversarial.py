"""The Lightning module of adversarial models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from genzoo.core.precision import full
from genzoo.core.types import Batch, Losses
from genzoo.lit.module import GenerativeModule, named
from genzoo.models.adversarial import AdversarialModel

GENERATOR, DISCRIMINATOR = "generator", "discriminator"


class AdversarialModule(GenerativeModule):
    """Alternating steps of discriminator and generator, each with its own optimiser.

    Lightning neither clips nor accumulates gradients where there are two optimisers; both are
    done here. An accumulated step collects its batches; then the discriminator is updated on
    all of them before the generator is.

    Args:
        model: to train.
        optimizer: the section `optimizer` of the configuration; its `discriminator` has the other
            network's `lr`, and `steps` for each step of the generator (4: the generator is
            updated on every fourth batch; 0.25: the discriminator is).
        **arguments: as for `GenerativeModule`.
    """

    model: AdversarialModel

    def __init__(
        self, model: AdversarialModel, *, optimizer: Mapping[str, Any], **arguments: Any
    ) -> None:
        super().__init__(model, optimizer=optimizer, **arguments)
        self.automatic_optimization = False
        self._waiting: list[Batch] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        rates = {
            DISCRIMINATOR: self.optimizer_settings["discriminator"]["lr"],
            GENERATOR: self.optimizer_settings["lr"],
        }
        objectives = self.model.objectives()
        return [
            self.build_optimizer(objectives[side].parameters, lr=lr) for side, lr in rates.items()
        ]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        self._waiting.append(batch)
        if len(self._waiting) < self.optimizer_settings["accumulate"]:
            return
        batches, self._waiting = self._waiting, []
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        discriminator, generator = optimizers
        turn = self.images_seen // (self.optimizer_settings["batch_size"] * len(batches))
        steps = self.optimizer_settings["discriminator"]["steps"]
        learns = _due(turn, steps)
        # The generator does not change in the step of the discriminator, so both use the same
        # samples; not over several batches, whose graphs would have to be kept.
        samples = self._sample(batches[0]) if learns and len(batches) == 1 else None
        if _due(turn, 1 / steps):
            self._discriminate(batches, samples, discriminator)
        if learns:
            self._generate(batches, samples, generator)

    def _sample(self, batch: Batch) -> Tensor:
        return self.model.generate(batch.condition, noise=self.noise(batch))

    def _discriminate(
        self, batches: Sequence[Batch], samples: Tensor | None, optimizer: LightningOptimizer
    ) -> None:
        signals: dict[str, Tensor] = {}
        for batch in batches:
            with torch.no_grad():
                generated = self._sample(batch) if samples is None else samples.detach()
            losses = self.model.discriminator_losses(batch, generated, noise=self.noise(batch))
            self._backward(losses, len(batches), DISCRIMINATOR)
            for name, value in losses.parts.items():
                mean = value.detach().mean() / len(batches)
                signals[name] = signals[name] + mean if name in signals else mean
        self._step(optimizer)
        if self.trainer.world_size > 1:
            signals = {
                name: self.trainer.strategy.reduce(value, reduce_op="mean")
                for name, value in signals.items()
            }
        images = sum(len(batch) for batch in batches) * self.trainer.world_size
        self.model.adapt(signals, images=images)

    def _generate(
        self, batches: Sequence[Batch], samples: Tensor | None, optimizer: LightningOptimizer
    ) -> None:
        self.model.discriminator.requires_grad_(False)  # its gradients are not wanted here
        for batch in batches:
            generated = self._sample(batch) if samples is None else samples
            losses = self.model.generator_losses(batch, generated, noise=self.noise(batch))
            self._backward(losses, len(batches), GENERATOR)
        self.model.discriminator.requires_grad_(True)
        self._step(optimizer)

    def _backward(self, losses: Losses, parts: int, side: str) -> None:
        # Backward casts by itself what forward cast; under autocast it would round products that
        # `full` exempts, such as R1's second derivative.
        with full(losses.total):
            self.manual_backward(losses.total.mean() / parts)
        values = named(losses, side, of=2)
        self.note({name: value.mean() for name, value in values.items()})

    def _step(self, optimizer: LightningOptimizer) -> None:
        optimizer.step()
        optimizer.zero_grad()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip unscaled gradients, and log their norm."""
        side = DISCRIMINATOR if optimizer is self.trainer.optimizers[0] else GENERATOR
        network: nn.Module = getattr(self.model, side)
        limit = self.optimizer_settings["clip"]
        norm = nn.utils.clip_grad_norm_(network.parameters(), limit or float("inf"))
        self.note({f"{side}/gradient_norm": norm})


def _due(turn: int, every: float) -> bool:
    """Whether this step is one in `every`; at one or less each is."""
    return every <= 1 or turn % round(every) == 0
