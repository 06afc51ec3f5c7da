"""Differentiable augmentation of a discriminator's inputs, for small data sets.

Real and generated images are augmented alike, each with a probability below one, so that the
augmentation does not leak into the samples (DiffAugment, arXiv 2006.10738; ADA, 2006.06676).
The probability is fixed, or follows how much the discriminator overfits.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.noise import Noise

Images = Float[Tensor, "b c h w"]
LARGEST = 0.8  # probability up to which augmentation does not leak (arXiv 2006.06676, section 2.2)


class Augmentation(nn.Module):
    """Colour, geometry and cutout, each with the same probability.

    Args:
        mode: none, fixed, or adaptive: the probability rises while the discriminator's sign on
            real images is above `target`, and falls below it.
        probability: of each change; the first one if adaptive.
        target: mean sign of the scores of real images (1: all taken for real; 0: undecided).
        images: seen while an adaptive probability goes from 0 to 1.
    """

    probability: Tensor

    def __init__(
        self,
        *,
        mode: Literal["none", "fixed", "adaptive"],
        probability: float,
        target: float,
        images: int,
    ) -> None:
        super().__init__()
        self.mode, self.target, self.images = mode, target, images
        self._start = 0.0 if mode == "none" else probability
        self.register_buffer("probability", torch.tensor(self._start))

    def forward(self, images: Images, *, noise: Noise) -> Images:
        """The images, augmented at random, each by its own stream."""
        if self.mode == "none":
            return images
        uniform = noise.uniform(11).to(images.dtype)
        colour, move, cutout = (uniform[:, :3, None, None, None] < self.probability).unbind(1)
        images = torch.where(colour, _colour(images, uniform[:, 3:6]), images)
        images = torch.where(move, _move(images, uniform[:, 6:9]), images)
        return torch.where(cutout, _cutout(images, uniform[:, 9:]), images)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load the probability only if it is adaptive; a fixed one follows the configuration."""
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if self.mode != "adaptive":
            self.probability.fill_(self._start)

    @torch.no_grad()
    def adapt(self, sign: Float[Tensor, ""], *, images: int) -> None:
        """Follow the overfitting signal.

        Args:
            sign: mean sign of the scores of real images since the last call, in [-1, 1].
            images: seen since the last call.
        """
        if self.mode == "adaptive":
            step = (sign - self.target).sign() * (images / self.images)
            self.probability.add_(step).clamp_(0.0, LARGEST)


def _colour(images: Images, uniform: Float[Tensor, "b 3"]) -> Images:
    """Brightness within +-0.5 of the range [-1, 1], saturation 0 to 2, contrast 0.5 to 1.5."""
    brightness, saturation, contrast = uniform[:, :, None, None, None].unbind(1)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = torch.lerp(grey, images, 2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def _move(images: Images, uniform: Float[Tensor, "b 3"]) -> Images:
    """Translation by up to an eighth of the side, and scaling by 0.8 to 1.25."""
    scale = torch.exp((2 * uniform[:, 0] - 1) * math.log(1.25))
    shift = 0.25 * (2 * uniform[:, 1:] - 1)  # the side has length 2
    theta = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    points = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, points, padding_mode="border", align_corners=False)


def _cutout(images: Images, uniform: Float[Tensor, "b 2"]) -> Images:
    """A square of half the side becomes grey."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device)[None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, :]
    top = (uniform[:, 0] * height).long()[:, None, None]
    left = (uniform[:, 1] * width).long()[:, None, None]
    inside = ((rows - top).abs() < height // 4) & ((columns - left).abs() < width // 4)
    return images * ~inside[:, None]
