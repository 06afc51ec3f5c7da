"""The U-Net that all diffusion families share: that of ADM, with text in its attention.

Dhariwal & Nichol, arXiv 2105.05233; Nichol et al. (GLIDE), arXiv 2112.10741, section 3.1.
Layers have the order of the released networks, so that a checkpoint converts key by key.

Shape letters: b batch, c channels in, k channels out, h height, w width, e of the embedding,
l tokens, d text width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from genzoo.core.errors import UsageError
from genzoo.core.precision import full
from genzoo.nn.attention import AttentionBlock
from genzoo.nn.resnet import Change, Resample, ResBlock


def time_features(
    times: Shaped[Tensor, " b"], width: int, *, longest: float = 10_000.0
) -> Float[Tensor, "b e"]:
    """Cosines, then sines of each time at geometrically spaced frequencies.

    Args:
        times: steps of the process; fractions are allowed.
        width: numbers a time; an odd one ends in a zero.
        longest: period of the slowest wave, in units of 2 pi steps.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=times.device)
    angles = times[:, None].float() * torch.exp(-math.log(longest) * steps / half)
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    return F.pad(waves, (0, width % 2))


@dataclass(frozen=True)
class UNetShape:
    """The shape of a U-Net.

    Attributes:
        width: channels of the first map.
        multiples: channels of each level, in multiples of `width`; each level has half the size
            of the one before.
        blocks: residual blocks a level, one number or one a level; the decoder half has one more.
        attention: levels with attention after each block, by how much smaller than the image
            their maps are (1: as large). The middle always has it.
        head_channels: of one head of the attention; None to count `heads` instead.
        heads: of the attention, in the encoder half and in the middle.
        heads_up: of the attention in the decoder half; None for as many.
        scale_shift: as for `ResBlock`.
        resample: whether resolutions change inside a residual block or in a convolution.
        dropout: as for `ResBlock`.
        groups: of all normalisations; divides all numbers of channels.
        patch: pixels along a side of one position of the largest map.
        recompute: recompute activations inside blocks in the backward pass, for a third more
            time and much less memory.
    """

    width: int
    multiples: Sequence[int]
    blocks: int | Sequence[int]
    attention: Sequence[int]
    head_channels: int | None
    heads: int = 1
    heads_up: int | None = None
    scale_shift: bool = True
    resample: Literal["block", "conv"] = "block"
    dropout: float = 0.0
    groups: int = 32
    patch: int = 1
    recompute: bool = False

    def __post_init__(self) -> None:
        for channels in (multiple * self.width for multiple in self.multiples):
            if channels % self.groups:
                raise UsageError(
                    f"{channels} channels cannot be normalised in {self.groups} groups",
                    "choose a width whose multiples divide, or other groups",
                )
        if not isinstance(self.blocks, int) and len(self.blocks) != len(self.multiples):
            raise UsageError(
                f"{len(self.blocks)} numbers of blocks for {len(self.multiples)} levels",
                "give one a level, or one for all",
            )

    @property
    def embedding(self) -> int:
        """Size of the time embedding."""
        return 4 * self.width

    def blocks_at(self, level: int) -> int:
        """Residual blocks of one level of the encoder half."""
        return self.blocks if isinstance(self.blocks, int) else self.blocks[level]

    def heads_of(self, channels: int, *, up: bool = False) -> int:
        """Heads of the attention in a map of so many channels."""
        heads = self.heads_up if up and self.heads_up is not None else self.heads
        if self.head_channels is not None:
            heads = channels // self.head_channels
        if not heads or channels % (self.head_channels or heads):
            raise UsageError(
                f"{channels} channels cannot be divided into heads of {self.head_channels}"
                if self.head_channels
                else f"{channels} channels cannot be divided into {heads} heads",
                "choose a number that divides them",
            )
        return heads


def unet_size_unit(shape: Mapping[str, Any]) -> int:
    """The number that divides height and width, given the arguments of a `UNetShape`."""
    return int(shape["patch"] * 2 ** (len(shape["multiples"]) - 1))


class _Levels(nn.Module):
    """The encoder half and the middle, which both networks below start with.

    Attributes:
        kept: channels of each map of the encoder half.
    """

    def __init__(self, shape: UNetShape, *, channels: int, context: int) -> None:
        super().__init__()
        self.shape, self.context = shape, context
        self.time = nn.Sequential(
            nn.Linear(shape.width, shape.embedding),
            nn.SiLU(),
            nn.Linear(shape.embedding, shape.embedding),
        )
        width = shape.multiples[0] * shape.width
        stem = nn.Conv2d(channels * shape.patch**2, width, 3, padding=1)
        self.down, self.kept = self._down(stem, width)
        width = self.kept[-1]
        self.middle = nn.ModuleList(
            [self._block(width, width), self._attention(width), self._block(width, width)]
        )

    def _condition(self, times: Shaped[Tensor, " b"], embedding: Tensor | None = None) -> Tensor:
        """The conditioning of every block: time and other embeddings."""
        weight = self.time[0].weight
        assert isinstance(weight, Tensor)
        conditioning = self.time(time_features(times, self.shape.width).to(weight.dtype))
        return F.silu(conditioning if embedding is None else conditioning + embedding)

    def _descend(
        self, x: Float[Tensor, "b c h w"], conditioning: Tensor, context: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The map in the middle, and those of the encoder half."""
        h = F.pixel_unshuffle(x, self.shape.patch)
        maps: list[Tensor] = []
        for layers in self.down:
            h = self._run(layers, h, conditioning, context)
            maps.append(h)
        return self._run(self.middle, h, conditioning, context), maps

    def _run(
        self, layers: nn.Module, h: Tensor, conditioning: Tensor, context: Tensor | None
    ) -> Tensor:
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            inputs: tuple[Tensor | None, ...] = (h,)
            if isinstance(layer, ResBlock):
                inputs = (h, conditioning)
            elif isinstance(layer, AttentionBlock):
                inputs = (h, context)
            if self.shape.recompute and self.training and len(inputs) > 1:
                h = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                h = layer(*inputs)
        return h

    def _down(self, stem: nn.Module, width: int) -> tuple[nn.ModuleList, list[int]]:
        """Groups of layers with a skip connection each, and the channels of each output."""
        shape = self.shape
        groups, kept = [nn.ModuleList([stem])], [width]
        for level, multiple in enumerate(shape.multiples):
            for _ in range(shape.blocks_at(level)):
                layers: list[nn.Module] = [self._block(width, multiple * shape.width)]
                width = multiple * shape.width
                if 2**level in shape.attention:
                    layers.append(self._attention(width))
                groups.append(nn.ModuleList(layers))
                kept.append(width)
            if level + 1 < len(shape.multiples):
                groups.append(nn.ModuleList([self._resample(width, "smaller")]))
                kept.append(width)
        return nn.ModuleList(groups), kept

    def _block(self, channels: int, out: int, change: Change | None = None) -> ResBlock:
        shape = self.shape
        return ResBlock(
            channels,
            out,
            embedding=shape.embedding,
            dropout=shape.dropout,
            scale_shift=shape.scale_shift,
            groups=shape.groups,
            change=change,
        )

    def _attention(self, channels: int, *, up: bool = False) -> AttentionBlock:
        heads = self.shape.heads_of(channels, up=up)
        return AttentionBlock(
            channels, heads=heads, context=self.context, groups=self.shape.groups
        )

    def _resample(self, channels: int, change: Change) -> nn.Module:
        if self.shape.resample == "block":
            return self._block(channels, channels, change)
        return Resample(channels, change)


class Classifier(_Levels):
    """The encoder half, a mean over positions and a linear layer: a classifier given a time.

    As ADM's classifier (section 4.1), which has attention in place of the mean.

    Args:
        shape: of the network.
        channels: of the input.
        classes: how many.
    """

    def __init__(self, shape: UNetShape, *, channels: int, classes: int) -> None:
        super().__init__(shape, channels=channels, context=0)
        width = self.kept[-1]
        self.norm = nn.GroupNorm(shape.groups, width)
        self.out = nn.Linear(width, classes)

    def forward(
        self, x: Float[Tensor, "b c h w"], times: Shaped[Tensor, " b"]
    ) -> Float[Tensor, "b k"]:
        """Logits of the classes; arguments as for `UNet`."""
        h, _ = self._descend(x, self._condition(times), None)
        logits: Tensor = self.out(F.silu(self.norm(h)).mean(dim=(2, 3)))
        return logits


class UNet(_Levels):
    """Maps to maps, given a time, an embedding and a text.

    Args:
        shape: of the network.
        channels: of the input.
        out: channels of the output.
        context: width of the text's features, 0 for no text.
    """

    def __init__(self, shape: UNetShape, *, channels: int, out: int, context: int) -> None:
        super().__init__(shape, channels=channels, context=context)
        self.up, width = self._up(self.kept[-1], self.kept)
        self.norm = nn.GroupNorm(shape.groups, width)
        self.out = nn.Conv2d(width, out * shape.patch**2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        times: Shaped[Tensor, " b"],
        *,
        embedding: Float[Tensor, "b e"] | None = None,
        context: Float[Tensor, "b l d"] | None = None,
    ) -> Float[Tensor, "b k h w"]:
        """The map of `out` channels.

        Args:
            x: height and width divisible by patch * 2 ** (levels - 1).
            times: steps of the process.
            embedding: added to the time embedding.
            context: features of a text's tokens.
        """
        conditioning = self._condition(times, embedding)
        h, maps = self._descend(x, conditioning, context)
        for layers in self.up:
            h = self._run(layers, torch.cat([h, maps.pop()], dim=1), conditioning, context)
        with full(h):
            h = self.out(F.silu(self.norm(h.to(self.out.weight.dtype))))
        return F.pixel_shuffle(h, self.shape.patch)

    def _up(self, width: int, kept: Sequence[int]) -> tuple[nn.ModuleList, int]:
        """Groups of layers, each with one more skip connection, and the channels at the end."""
        shape, waiting = self.shape, list(kept)
        groups = []
        for level, multiple in reversed(list(enumerate(shape.multiples))):
            count = shape.blocks_at(level) + 1
            for k in range(count):
                layers: list[nn.Module] = [
                    self._block(width + waiting.pop(), multiple * shape.width)
                ]
                width = multiple * shape.width
                if 2**level in shape.attention:
                    layers.append(self._attention(width, up=True))
                if level and k + 1 == count:
                    layers.append(self._resample(width, "larger"))
                groups.append(nn.ModuleList(layers))
        return nn.ModuleList(groups), width
