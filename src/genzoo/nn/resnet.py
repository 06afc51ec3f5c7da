"""Residual blocks conditioned by their normalisation, and changes of resolution.

As in ADM (Dhariwal & Nichol, arXiv 2105.05233, section 3).

Shape letters: b batch, c channels in, k channels out, h height, w width, e of the embedding.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Change = Literal["smaller", "larger"]


def resampled(x: Float[Tensor, "b c h w"], change: Change) -> Float[Tensor, "b c i j"]:
    """Half the size by averages of four, or twice the size by repetition."""
    if change == "smaller":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Resample(nn.Module):
    """A change of resolution by a convolution of its own.

    Args:
        channels: in and out.
        change: half the size by stride, or twice the size by repetition before the convolution.
    """

    def __init__(self, channels: int, change: Change) -> None:
        super().__init__()
        self.change = change
        stride = 2 if change == "smaller" else 1
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """The map at the other size."""
        map_: Tensor = self.conv(x if self.change == "smaller" else resampled(x, "larger"))
        return map_


class ResBlock(nn.Module):
    """Two convolutions beside a shortcut, the second one after a conditioned normalisation.

    Args:
        channels: in.
        out: channels out.
        embedding: numbers in the embedding of time and condition.
        dropout: before the last convolution.
        scale_shift: whether the embedding scales and shifts the normalised map; else it is added.
        change: of the resolution, inside both branches.
        groups: of the normalisations.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        embedding: int,
        dropout: float,
        scale_shift: bool,
        groups: int,
        change: Change | None = None,
    ) -> None:
        super().__init__()
        self.change: Change | None = change
        self.scale_shift = scale_shift
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.embed = nn.Linear(embedding, 2 * out if scale_shift else out)
        self.norm2 = nn.GroupNorm(groups, out)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else None

    def forward(
        self, x: Float[Tensor, "b c h w"], embedding: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b k i j"]:
        """The map after the block; `embedding` has already passed its activation."""
        h = F.silu(self.norm1(x))
        if self.change is not None:
            h, x = resampled(h, self.change), resampled(x, self.change)
        h = self.conv1(h)
        conditioning = self.embed(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = conditioning.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        else:
            h = self.norm2(h + conditioning)
        h = self.conv2(self.dropout(F.silu(h)))
        changed: Tensor = h + (x if self.skip is None else self.skip(x))
        return changed
