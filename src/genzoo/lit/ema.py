"""Moving average of a model's weights, whose horizon grows with the images seen."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class EMA(nn.Module, Generic[M]):
    """An exponential moving average of a model's weights.

    Its half-life is `halflife_images` images, but at most the share `ramp` of the images seen so
    far (Karras et al., arXiv 2206.00364, appendix F.2), so that initial weights fade in short runs
    too.

    Args:
        model: to average; it is copied.
        halflife_images: longest half-life, in images.
        ramp: half-life as a share of the images seen.
    """

    def __init__(self, model: M, *, halflife_images: float, ramp: float) -> None:
        super().__init__()
        self.model: M = copy.deepcopy(model).eval().requires_grad_(False)
        self.halflife_images, self.ramp = float(halflife_images), float(ramp)

    def decay(self, *, images_seen: int, step_images: int) -> float:
        """The decay of a step of `step_images` images."""
        halflife = min(self.halflife_images, self.ramp * images_seen)
        return 0.5 ** (step_images / halflife) if halflife > 0 else 0.0

    @torch.no_grad()
    def update(self, model: nn.Module, *, images_seen: int, step_images: int) -> None:
        """Average in the weights of one step; buffers are copied."""
        weight = 1.0 - self.decay(images_seen=images_seen, step_images=step_images)
        own: list[Tensor] = list(self.model.parameters())
        new: list[Tensor] = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(own, new, weight)
        self.copy_buffers(model)

    @torch.no_grad()
    def copy_buffers(self, model: nn.Module) -> None:
        """Copy everything but weights."""
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)

    def train(self, mode: bool = True) -> EMA[M]:
        """Stays in evaluation mode."""
        return super().train(False)
