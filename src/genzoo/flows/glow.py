"""Glow: squeeze, steps of flow, split, over several scales.

Kingma & Dhariwal, arXiv 1807.03039, figure 2; the split as in RealNVP (arXiv 1605.08803), section
3.6. A half that is split off is normalised by a network given the other half: that is the
learned prior of Glow, written as one more affine map, so that all latents are standard normal.

Shape letters: b batch, c channels, h height, w width, d features of the condition, z latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.flows.coupling import AffineCoupling
from genzoo.flows.linear import ActNorm, InvertibleConv, Whitening
from genzoo.flows.transform import Composition, Features, Guided, Squeeze, Transform, bounded


class ConditionalAffine(Transform):
    """Every number is scaled and shifted given the condition alone (Glow's top prior).

    Args:
        shape: (c, h, w) of the maps.
        features: of the condition.
        bound: of the logarithm of the scale.
    """

    def __init__(self, shape: tuple[int, int, int], *, features: int, bound: float = 2.0) -> None:
        super().__init__()
        self.shape, self.bound = shape, bound
        self.net = nn.Linear(features, 2 * shape[0] * shape[1] * shape[2])
        nn.init.zeros_(self.net.weight)
        nn.init.zeros_(self.net.bias)

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        shift, log_scale = self._affine(cond)
        return (x + shift) * log_scale.exp(), log_scale.flatten(1).sum(1)

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        shift, log_scale = self._affine(cond)
        return z * (-log_scale).exp() - shift

    def _affine(self, cond: Features) -> tuple[Tensor, Tensor]:
        assert cond is not None
        parameters = cond.mix(self.net(cond.both)) if isinstance(cond, Guided) else self.net(cond)
        shift, raw = parameters.unflatten(1, (2, *self.shape)).unbind(1)
        return shift, bounded(raw, self.bound)


class Glow(Transform):
    """The multi-scale flow of images to flat latents: (b, c, h, w) -> (b, z), z = c h w.

    Args:
        image_size: height and width, divisible by patch * 2 ** (levels - 1).
        patch: factor of the first squeeze; the later ones halve.
        levels: scales; after each but the last one half of the channels is split off.
        steps: of flow at each scale: activation normalisation, 1x1 convolution, coupling.
        width: hidden channels of the coupling networks.
        features: of the condition.
        bound: of the logarithm of every coupling's scale.
        channels: of the images.
    """

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        """The number that divides height and width of the images, given its arguments."""
        return int(settings["patch"] * 2 ** (settings["levels"] - 1))

    def __init__(
        self,
        *,
        image_size: int,
        patch: int,
        levels: int,
        steps: int,
        width: int,
        features: int,
        bound: float = 2.0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        self.shapes: list[tuple[int, int, int]] = []  # after each level, before its split
        size, factor = image_size, patch
        for level in range(levels):
            channels, size = channels * factor**2, size // factor
            maps: list[Transform] = [Squeeze(factor)]
            if level == 0:
                maps.append(Whitening(channels))
            for _ in range(steps):
                maps += [
                    ActNorm(channels),
                    InvertibleConv(channels),
                    AffineCoupling(
                        channels, size=size, width=width, features=features, bound=bound
                    ),
                ]
            if level + 1 < levels:  # the second half is normalised given the first one
                maps.append(
                    AffineCoupling(
                        channels, size=size, width=width, features=features, bound=bound
                    )
                )
            else:
                maps.append(
                    ConditionalAffine((channels, size, size), features=features, bound=bound)
                )
            self.levels.append(Composition(maps))
            self.shapes.append((channels, size, size))
            channels, factor = channels - channels // 2, 2

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b z"], Float[Tensor, " b"]]:
        latents, total = [], x.new_zeros(len(x))
        for k, level in enumerate(self.levels):
            x, log_det = level(x, cond)
            total = total + log_det
            if k + 1 < len(self.levels):
                x, off = x.tensor_split([self._kept(k)], dim=1)
                latents.append(off.flatten(1))
        return torch.cat([*latents, x.flatten(1)], dim=1), total

    def inverse(self, z: Float[Tensor, "b z"], cond: Features = None) -> Float[Tensor, "b c h w"]:
        *offs, x = self._latents(z)
        for k in reversed(range(len(self.levels))):
            if k + 1 < len(self.levels):
                x = torch.cat([x, offs[k]], dim=1)
            level = self.levels[k]
            assert isinstance(level, Composition)
            x = level.inverse(x, cond)
        return x

    @torch.no_grad()
    def data_dependent_init(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b z"]:
        first = x
        for k, level in enumerate(self.levels):
            assert isinstance(level, Composition)
            x = level.data_dependent_init(x, cond)[:, : self._kept(k)]
        z: Tensor = self(first, cond)[0]
        return z

    def _kept(self, level: int) -> int:
        channels = self.shapes[level][0]
        return channels - channels // 2

    def _latents(self, z: Tensor) -> list[Tensor]:
        """The parts that were split off, in order, and the rest, each a map of its own shape."""
        parts = []
        for k, (c, h, w) in enumerate(self.shapes):
            taken = c if k + 1 == len(self.shapes) else c - self._kept(k)
            part, z = z.tensor_split([taken * h * w], dim=1)
            parts.append(part.unflatten(1, (taken, h, w)))
        return parts
