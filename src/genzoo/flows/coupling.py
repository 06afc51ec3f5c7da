"""Affine coupling: one half of the channels is scaled and shifted by a function of the other.

Dinh et al., "RealNVP" (arXiv 1605.08803), equations (4) to (8); as in Glow (arXiv 1807.03039).

Shape letters: b batch, c channels, h height, w width, d features of the condition.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.flows.transform import Features, Guided, Transform, bounded


class CouplingNet(nn.Module):
    """Three convolutions (3x3, 1x1, 3x3) given the position and the condition.

    The last one begins at zero, so that a coupling begins as the identity.

    Args:
        channels: of the input.
        out: channels of the output.
        size: height and width of the maps.
        width: hidden channels.
        features: of the condition, 0 for none.
    """

    def __init__(
        self, channels: int, out: int, *, size: int, width: int, features: int = 0
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(width, size, size))
        self.film = nn.Linear(features, 2 * width) if features else None
        self.middle = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, out, 3, padding=1)
        self.act = nn.SiLU()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b k h w"]:
        """A map of `out` channels."""
        h = self.first(x) + self.position
        if self.film is not None and cond is not None:
            scale, shift = self.film(cond)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        out: Tensor = self.last(self.act(self.middle(self.act(h))))
        return out


class AffineCoupling(Transform):
    """z_a = x_a; z_b = (x_b + t(x_a)) exp(s(x_a)), with |s| < bound.

    Args:
        channels: c; the first half, rounded up, is x_a.
        size: height and width of the maps.
        width: hidden channels of the network.
        features: of the condition, 0 for none.
        bound: of the logarithm of the scale.
    """

    def __init__(
        self, channels: int, *, size: int, width: int, features: int = 0, bound: float = 2.0
    ) -> None:
        super().__init__()
        self.kept, self.bound = (channels + 1) // 2, bound
        self.net = CouplingNet(
            self.kept, 2 * (channels - self.kept), size=size, width=width, features=features
        )

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        kept, changed = x.tensor_split([self.kept], dim=1)
        shift, log_scale = self._affine(kept, cond)
        z = torch.cat([kept, (changed + shift) * log_scale.exp()], dim=1)
        return z, log_scale.flatten(1).sum(1)

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        kept, changed = z.tensor_split([self.kept], dim=1)
        shift, log_scale = self._affine(kept, cond)
        return torch.cat([kept, changed * (-log_scale).exp() - shift], dim=1)

    def _affine(self, kept: Tensor, cond: Features) -> tuple[Tensor, Tensor]:
        if isinstance(cond, Guided):
            parameters = cond.mix(self.net(kept.repeat(2, 1, 1, 1), cond.both))
        else:
            parameters = self.net(kept, cond)
        shift, raw = parameters.chunk(2, dim=1)
        return shift, bounded(raw, self.bound)
