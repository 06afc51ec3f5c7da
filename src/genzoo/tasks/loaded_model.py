"""A trained model with all that a command needs to draw with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig

from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.models.base import GenerativeModel
from genzoo.run import devices, loading, scorers
from genzoo.tasks.pictures import about_pictures
from genzoo.tasks.sample import condition
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class LoadedModel:
    """A model where it computes.

    Attributes:
        model: with its averaged weights.
        tokenizer: of its captions.
        guidance: that the command asks for.
        size: height and width of its images.
        seed: of the command.
        device: where the model is.
        about: what its pictures say of their making.
    """

    model: GenerativeModel
    tokenizer: Tokenizer
    guidance: Any
    size: int
    seed: int
    device: torch.device
    about: dict[str, str]

    @classmethod
    def of(cls, cfg: DictConfig) -> LoadedModel:
        """The model of a checkpoint.

        Raises:
            UsageError: where no checkpoint is named.
        """
        model, checkpoint = loading.trained_model(cfg)
        device = devices.device(cfg)
        return cls(
            model.to(device),
            read_tokenizer(checkpoint.about["tokenizer"]),
            scorers.build_guidance(cfg),
            checkpoint.config["data"]["image_size"],
            cfg.seed,
            device,
            about_pictures(cfg, model, checkpoint, sampler=model.inversion_sampler),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        return 3, self.size, self.size

    def condition(self, caption: str | None, count: int = 1) -> Condition:
        """One caption `count` times; None for empty ones."""
        words = "" if caption is None else str(caption)
        return condition([words] * count, self.tokenizer).to(self.device)

    def noise(self, *numbers: int) -> Noise:
        """The noise from which `task=sample` draws the pictures of these numbers."""
        return Noise.of(self.seed, numbers, "sample", device=self.device)
