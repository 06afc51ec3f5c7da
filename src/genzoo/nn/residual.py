"""Residual networks without normalisation, as R3GAN's generator and discriminator.

Each block is an inverted bottleneck around a grouped convolution and begins as the identity;
resolutions change by bilinear interpolation (Huang et al., arXiv 2501.05441, section 4). For speed
on CPUs only the outermost convolutions work at full resolution: the discriminator's first maps
overlapping patches of pixels to positions, the generator's last maps positions to pixels.

Shape letters: b batch, c channels, h height, w width, d features of the condition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.errors import UsageError
from genzoo.core.precision import full

SLOPE = 0.2  # of the leaky ReLU for negative numbers
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance of its output


class GroupedBlock(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolution beside a shortcut; no normalisation.

    Args:
        channels: in and out.
        expansion: channels of the grouped convolution, as a multiple.
        group: minimum of channels in one of its groups.
        depth: residual blocks in the whole network; deeper networks start with smaller weights
            (Fixup, arXiv 1901.09321, section 3).
        features: of the condition, which scales and shifts the expanded channels; 0 for none.
    """

    def __init__(
        self, channels: int, *, expansion: int, group: int, depth: int, features: int = 0
    ) -> None:
        super().__init__()
        wide = channels * expansion
        self.conv1 = nn.Conv2d(channels, wide, 1)
        groups = max(1, wide // group)
        while wide % groups:
            groups -= 1
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=groups)
        self.conv3 = nn.Conv2d(wide, channels, 1, bias=False)
        self.film = nn.Linear(features, 2 * wide) if features else None
        for conv in (self.conv1, self.conv2):
            scaled_(conv.weight, gain=GAIN * depth**-0.25)  # three layers: L^(-1 / (2 m - 2))
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.conv3.weight)
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(
        self, x: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The map after the block."""
        h = F.leaky_relu(self.conv1(x), SLOPE)
        h = self.conv2(h)
        if self.film is not None and features is not None:
            scale, shift = self.film(features)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        changed: Tensor = x + self.conv3(F.leaky_relu(h, SLOPE))
        return changed


@dataclass(frozen=True)
class ResidualShape:
    """The shape of a generator or a discriminator.

    Attributes:
        image_size: height and width of the images.
        channels: of the images.
        widths: channels from the largest map to the smallest; each is half as large.
        blocks: at each size.
        expansion: as for `GroupedBlock`.
        group: as for `GroupedBlock`.
        patch: pixels along each side between two positions of the largest map: 1 or even.

    Raises:
        UsageError: where the image's size is not divisible so often.
    """

    image_size: int
    channels: int
    widths: Sequence[int]
    blocks: int
    expansion: int
    group: int
    patch: int

    def __post_init__(self) -> None:
        unit = self.patch * 2 ** (len(self.widths) - 1)
        if self.image_size % unit:
            raise UsageError(
                f"{len(self.widths)} widths with patch={self.patch} need images divisible by "
                f"{unit}, not {self.image_size}",
                "give fewer widths, or another data.image_size=",
            )

    @property
    def smallest(self) -> tuple[int, int, int]:
        """Channels, height and width of the smallest map."""
        side = self.image_size // (self.patch * 2 ** (len(self.widths) - 1))
        return self.widths[-1], side, side

    def stage(self, width: int, *, features: int = 0) -> list[nn.Module]:
        """The blocks of one size."""
        depth = self.blocks * len(self.widths)
        return [
            GroupedBlock(
                width, expansion=self.expansion, group=self.group, depth=depth, features=features
            )
            for _ in range(self.blocks)
        ]


class ResidualGenerator(nn.Module):
    """A vector of features to images.

    Args:
        shape: of the network.
        features: numbers in the vector, which also conditions every block.
    """

    def __init__(self, shape: ResidualShape, *, features: int) -> None:
        super().__init__()
        widths = shape.widths
        self.start = nn.Linear(features, widths[-1])
        scaled_(self.start.weight)
        self.basis = nn.Parameter(torch.randn(shape.smallest))
        layers: list[nn.Module] = []
        for k in reversed(range(len(widths))):
            layers += shape.stage(widths[k], features=features)
            if k:
                layers.append(Resample(widths[k], widths[k - 1], larger=True))
        self.layers = nn.ModuleList(layers)
        # A transposed convolution still left a grid pattern after 20,000 images.
        self.enlarge = nn.Upsample(scale_factor=shape.patch, mode="bilinear")
        self.out = nn.Conv2d(widths[0], shape.channels, 3, padding=1)
        scaled_(self.out.weight)

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        """Images, not clipped to [-1, 1]."""
        x = self.basis * self.start(features)[:, :, None, None]
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = layer(x, features) if isinstance(layer, GroupedBlock) else layer(x)
        with full(x):
            image: Tensor = self.out(self.enlarge(x.float()))
        return image


class ResidualDiscriminator(nn.Module):
    """Images to a vector of features: the generator's mirror image.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        widths = shape.widths
        patch = shape.patch
        edge = (3, 1, 1) if patch == 1 else (2 * patch, patch, patch // 2)  # overlap by half
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, widths[0], *edge)]
        for k, width in enumerate(widths):
            layers += shape.stage(width)
            if k + 1 < len(widths):
                layers.append(Resample(width, widths[k + 1], larger=False))
        self.layers = nn.Sequential(*layers)
        # One weight a channel and position: a grouped convolution over the whole map.
        self.basis = nn.Parameter(torch.randn(shape.smallest) / shape.smallest[-1])

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """A vector of `widths[-1]` features."""
        features: Tensor = (self.layers(images) * self.basis).sum((2, 3))
        return features


class Resample(nn.Module):
    """Twice or half the size by bilinear interpolation, with a 1x1 convolution at the smaller."""

    def __init__(self, channels: int, out: int, *, larger: bool) -> None:
        super().__init__()
        self.larger = larger
        self.conv = nn.Conv2d(channels, out, 1, bias=False)
        scaled_(self.conv.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """The map at the other size."""
        if self.larger:
            return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear")
        smaller: Tensor = self.conv(F.avg_pool2d(x, 2))
        return smaller


@torch.no_grad()
def scaled_(weight: Tensor, *, gain: float = 1.0) -> None:
    """Normal weights that keep the variance, times a gain (He et al., arXiv 1502.01852)."""
    nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))
