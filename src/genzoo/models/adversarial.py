"""Generators that are trained with a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Condition, Losses
from genzoo.models.base import GenerativeModel, Objective


class AdversarialModel(GenerativeModel):
    """A generator and a discriminator that are trained against each other.

    Attributes:
        generator: of images.
        discriminator: between generated images and real ones.
    """

    generator: nn.Module
    discriminator: nn.Module

    @abstractmethod
    def generate(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b c h w"]:
        """Generated images, with gradients to the generator."""

    @abstractmethod
    def discriminator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        """The loss of the discriminator; `generated` carries no gradient."""

    @abstractmethod
    def generator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        """The loss of the generator, whose gradient flows through `generated`."""

    def adapt(self, parts: Mapping[str, Tensor], *, images: int) -> None:
        """Adapt the augmentation to the discriminator; called after each of its steps.

        Args:
            parts: means of the discriminator's losses by part, over all processes.
            images: real ones in the discriminator's step.
        """

    def objectives(self) -> dict[str, Objective]:
        """Of the discriminator and of the generator, each with the other one fixed."""

        def discriminator(batch: Batch, *, noise: Noise) -> Losses:
            with torch.no_grad():
                generated = self.generate(batch.condition, noise=noise)
            return self.discriminator_losses(batch, generated, noise=noise)

        def generator(batch: Batch, *, noise: Noise) -> Losses:
            generated = self.generate(batch.condition, noise=noise)
            return self.generator_losses(batch, generated, noise=noise)

        return {
            "discriminator": Objective(discriminator, tuple(self.discriminator.parameters())),
            "generator": Objective(generator, tuple(self.generator.parameters())),
        }
