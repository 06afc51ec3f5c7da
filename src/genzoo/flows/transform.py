"""The interface of invertible maps, and their composition.

Shape letters: b batch, c channels, h height, w width, d features of the condition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Guided:
    """A condition with guidance, in `inverse` alone.

    Every affine map then uses u + s (c - u) for its shift and for the logarithm of its scale
    (TarFlow, arXiv 2412.06329, section 3.4, in the convention that is off at s = 1).

    Attributes:
        features: of the condition.
        free: features of no condition.
        guidance: combines the parameters of both.
    """

    features: Float[Tensor, "b d"]
    free: Float[Tensor, "b d"]
    guidance: Callable[[Tensor, Tensor], Tensor]

    @property
    def both(self) -> Float[Tensor, "b2 d"]:
        """Input of the networks: all samples with their conditions, then without (b2 = 2 b)."""
        return torch.cat([self.features, self.free])

    def mix(self, parameters: Float[Tensor, "b2 ..."]) -> Float[Tensor, "b ..."]:
        """The guided parameters from those of `both`."""
        mixed: Tensor = self.guidance(*parameters.chunk(2))
        return mixed


Features = Float[Tensor, "b d"] | Guided | None


class Transform(nn.Module, ABC):
    """An invertible map f with z = f(x; condition), trained in the direction data to noise."""

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "b ..."], cond: Features = None
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, " b"]]:
        """The image z = f(x) and log |det df/dx| in nats, one a sample.

        Args:
            x: what is mapped.
            cond: features of the condition, for the maps that take one.
        """

    @abstractmethod
    def inverse(self, z: Float[Tensor, "b ..."], cond: Features = None) -> Float[Tensor, "b ..."]:
        """The x with f(x) = z."""

    @torch.no_grad()
    def data_dependent_init(
        self, x: Float[Tensor, "b ..."], cond: Features = None
    ) -> Float[Tensor, "b ..."]:
        """Initialise data-dependent parameters from the first inputs; returns f of them."""
        z: Tensor = self(x, cond)[0]
        return z


class Composition(Transform):
    """Several maps, the first one first; log-determinants add up.

    Args:
        transforms: the maps.
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(
        self, x: Float[Tensor, "b ..."], cond: Features = None
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, " b"]]:
        total = x.new_zeros(len(x))
        for transform in self.transforms:
            x, log_det = transform(x, cond)
            total = total + log_det
        return x, total

    def inverse(self, z: Float[Tensor, "b ..."], cond: Features = None) -> Float[Tensor, "b ..."]:
        for transform in reversed(self.transforms):
            assert isinstance(transform, Transform)
            z = transform.inverse(z, cond)
        return z

    @torch.no_grad()
    def data_dependent_init(
        self, x: Float[Tensor, "b ..."], cond: Features = None
    ) -> Float[Tensor, "b ..."]:
        for transform in self.transforms:
            assert isinstance(transform, Transform)
            x = transform.data_dependent_init(x, cond)
        return x


class Squeeze(Transform):
    """Blocks of pixels become channels: (b, c, h, w) -> (b, c f^2, h / f, w / f).

    Args:
        factor: f, height and width of a block.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b k i j"], Float[Tensor, " b"]]:
        z = nn.functional.pixel_unshuffle(x, self.factor)
        return z, x.new_zeros(len(x))

    def inverse(
        self, z: Float[Tensor, "b k i j"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        return nn.functional.pixel_shuffle(z, self.factor)


def bounded(raw: Tensor, bound: float) -> Tensor:
    """A logarithm of a scale, kept within (-bound, bound) and equal to `raw` near zero.

    Without a bound a map can become so steep that its inverse loses all precision.
    """
    return bound * torch.tanh(raw / bound)
