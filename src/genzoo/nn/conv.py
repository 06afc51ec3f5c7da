"""Convolutional blocks of encoders and decoders that have a bottleneck.

The first and last step exchange space for channels (pixel unshuffle and shuffle), so that no
convolution runs at full resolution, which would take most of the time on a CPU.

Shape letters: b batch, c channels, h height, w width, d features of the condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.precision import full


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with groups of at least 8 channels."""
    groups = max(1, min(32, channels // 8))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels, eps=1e-5)


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; a condition scales and shifts the second norm.

    Args:
        channels: in and out.
        features: of the condition, 0 for none.
    """

    def __init__(self, channels: int, *, features: int = 0) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(features, 2 * channels) if features else None
        self.act = nn.SiLU()
        nn.init.zeros_(self.conv2.weight)  # the block begins as the identity
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]
        if self.film is not None:
            nn.init.zeros_(self.film.weight)
            nn.init.zeros_(self.film.bias)

    def forward(
        self, x: Float[Tensor, "b c h w"], features: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The map after the block."""
        h = self.norm2(self.conv1(self.act(self.norm1(x))))
        if self.film is not None and features is not None:
            scale, shift = self.film(features)[:, :, None, None].chunk(2, dim=1)
            h = h * (1 + scale) + shift
        changed: Tensor = x + self.conv2(self.act(h))
        return changed


class ConvEncoder(nn.Module):
    """Images to a small map of features: halved once by pixel unshuffle, then between widths.

    Args:
        channels: of the image.
        widths: channels at 1/2, 1/4, 1/8 ... of the image's size.
        blocks: residual blocks at each size.
    """

    def __init__(self, *, channels: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * channels, widths[0], 3, padding=1),
        ]
        for k, width in enumerate(widths):
            layers += [ResBlock(width) for _ in range(blocks)]
            if k + 1 < len(widths):
                layers.append(nn.Conv2d(width, widths[k + 1], 4, stride=2, padding=1))
        layers += [norm(widths[-1]), nn.SiLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """A map of `widths[-1]` channels."""
        features: Tensor = self.layers(images)
        return features


class ConvDecoder(nn.Module):
    """The mirror image of `ConvEncoder`, optionally conditioned in every block.

    Args:
        channels: of the output.
        widths: as for the encoder, from the largest map to the smallest.
        blocks: residual blocks at each size.
        features: of the condition, 0 for none.
    """

    def __init__(
        self, *, channels: int, widths: Sequence[int], blocks: int, features: int = 0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k in reversed(range(len(widths))):
            layers += [ResBlock(widths[k], features=features) for _ in range(blocks)]
            if k:
                layers += [
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    nn.Conv2d(widths[k], widths[k - 1], 3, padding=1),
                ]
        self.layers = nn.ModuleList(layers)
        self.out = nn.Sequential(
            norm(widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], 4 * channels, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(
        self, x: Float[Tensor, "b k i j"], features: Float[Tensor, "b d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """Images, not clipped to [-1, 1]."""
        for layer in self.layers:
            x = layer(x, features) if isinstance(layer, ResBlock) else layer(x)
        with full(x):
            image: Tensor = self.out(x.float())
        return image
