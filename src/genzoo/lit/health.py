"""Detects diverged and collapsed trainings while the last good checkpoint is still there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from genzoo.core.errors import GenzooError
from genzoo.core.image import to_float

LEAST_DIVERSITY = 0.05  # of samples, as a share of real images'
LEAST_SCALE = 2.0**-10  # of losses; one that fell so far from 65536 has not stopped falling
LOOKS = 3  # in a row at which samples may be all alike


class Unhealthy(GenzooError):
    """Weights, losses or samples are invalid; the last checkpoint is to be kept."""


class Health:
    """Checks during a training; a failed one says how to resume.

    Args:
        checkpoint: the run's file, with the last good state.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.alike = 0  # looks in a row at samples that were so

    @property
    def suspect(self) -> bool:
        """Whether the last samples were all alike, so that their state is not saved."""
        return self.alike > 0

    def check_losses(self, values: Mapping[str, float], *, images: int) -> None:
        """Raise if a loss is not finite.

        Raises:
            Unhealthy: names the loss and the checkpoint to go back to.
        """
        for name, value in values.items():
            if not math.isfinite(value):
                raise self._error(f"the loss {name!r} became {value} after {images:,} images")

    def check_scale(self, scale: float, *, images: int) -> None:
        """Raise if the loss scale fell so far that no float16 step is possible.

        Raises:
            GenzooError: with another precision as the remedy.
        """
        if scale < LEAST_SCALE:
            raise self._error(
                f"float16 overflows at every scale of the loss, after {images:,} images",
                "trainer.precision=32-true",  # bfloat16 would do, where a card has it
            )

    def check_weights(self, model: nn.Module, *, images: int) -> None:
        """Raise if a weight is not finite; called before a checkpoint is written.

        Raises:
            Unhealthy: names the first such weight and the checkpoint to go back to.
        """
        for name, parameter in model.named_parameters():
            if not bool(parameter.detach().isfinite().all()):
                raise self._error(f"the weights of {name} became nan or inf by {images:,} images")

    def check_samples(self, diversity: float, *, images: int) -> None:
        """Raise if samples have been all alike several times in a row.

        Args:
            diversity: see the function of that name.
            images: seen so far.

        Raises:
            Unhealthy: says that the model collapsed, and names the checkpoint to go back to.
        """
        self.alike = self.alike + 1 if not diversity >= LEAST_DIVERSITY else 0
        if self.alike >= LOOKS:
            raise self._error(
                f"the model collapsed: {LOOKS} times in a row its samples were all alike, "
                f"by {images:,} images"
            )

    def _error(self, problem: str, change: str = "a lower optimizer.lr=") -> Unhealthy:
        if self.checkpoint.exists():
            return Unhealthy(
                problem, f"go on from checkpoint={self.checkpoint.parents[1]} with {change}"
            )
        return Unhealthy(problem, f"start again with {change}")


def diversity(samples: Tensor, real: Tensor) -> float:
    """The diversity of samples relative to real images.

    Args:
        samples: 8-bit images of shape (n, c, h, w).
        real: as many real ones, for the same captions.

    Returns:
        The ratio of the mean standard deviations over the images; 0 if all samples are alike.
    """
    spreads = [to_float(images).std(dim=0).mean() for images in (samples, real)]
    return float(spreads[0] / spreads[1].clamp(min=torch.finfo(torch.float32).tiny))
