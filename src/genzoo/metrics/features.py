"""From images to features: the protocol of all extractors, and an extractor made of a network.

Features are always computed in float32. Pooled features in bf16 differ by several per cent, and
identical images then lie at a Fréchet distance of 2.4 from themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from genzoo.core.precision import exact


@dataclass(frozen=True)
class Features:
    """What a network sees in a batch of images.

    Attributes:
        pooled: float32 features behind the Fréchet distance, KID and the neighbour metrics.
        logits: float32 class scores behind the Inception Score; None where there is no classifier.
    """

    pooled: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"] | None

    def __len__(self) -> int:
        return self.pooled.shape[0]


@runtime_checkable
class FeatureExtractor(Protocol):
    """A network with everything about it that changes a number.

    Attributes:
        name: what its metrics are called after.
        sha256: of the weights.
        input_size: side of the square that the network sees, in pixels.
        resizing: how images of another size get there, in words.
        quantisation: what the pixels are rounded to before, in words.
        dim: number of pooled features.
        classes: number of class scores; 0 where there is no classifier.
        published: whether these are the weights that a metric's published name means.
        unit_length: whether pooled features are embeddings of length 1, which CMMD is of.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above, as all that follow
    @property
    def sha256(self) -> str: ...  # noqa: D102
    @property
    def input_size(self) -> int: ...  # noqa: D102
    @property
    def resizing(self) -> str: ...  # noqa: D102
    @property
    def quantisation(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def classes(self) -> int: ...  # noqa: D102
    @property
    def published(self) -> bool: ...  # noqa: D102
    @property
    def unit_length(self) -> bool: ...  # noqa: D102

    def __call__(self, images: UInt8[Tensor, "b 3 h w"]) -> Features:
        """Features of 8-bit images, on the extractor's device."""
        ...


@dataclass(frozen=True)
class NetworkExtractor:
    """A `FeatureExtractor` made of a network and the way images are brought to its input.

    Args:
        prepare: 8-bit images -> the network's float32 input.
        network: that input -> (pooled, logits).
        chunk: images that go through the network at once, whatever the caller's batch.
        trained_on: fingerprint of the data whose training split it learned; None for others.
    """

    name: str
    sha256: str
    input_size: int
    resizing: str
    dim: int
    classes: int
    prepare: Callable[[Tensor], Tensor]
    network: nn.Module
    device: torch.device
    published: bool = False
    unit_length: bool = False
    quantisation: str = "8 bit per channel, RGB"
    chunk: int = 16
    trained_on: str | None = None

    def __call__(self, images: Tensor) -> Features:
        """Features of 8-bit RGB images of shape (b, 3, h, w).

        Raises:
            TypeError: the images are not uint8 (rounding is the caller's: `genzoo.core.image`).
            ValueError: the images do not have three channels.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"features are taken from uint8 images, not {images.dtype}")
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected images of shape (b, 3, h, w), got {tuple(images.shape)}")
        if not len(images):
            return self._nothing()
        with torch.no_grad(), exact(self.device):
            parts = [self._chunk(part) for part in images.split(self.chunk)]
        return Features(torch.cat([p for p, _ in parts]), torch.cat([q for _, q in parts]))

    def _chunk(self, images: Tensor) -> tuple[Tensor, Tensor]:
        inputs = self.prepare(images.to(self.device))
        pooled, logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
        return pooled, logits

    def _nothing(self) -> Features:
        return Features(
            torch.empty(0, self.dim, device=self.device),
            torch.empty(0, self.classes, device=self.device),
        )


def inference_network(network: nn.Module, device: torch.device) -> nn.Module:
    """The network ready for inference: float32, channels last, no gradients."""
    network = network.float().eval().requires_grad_(False)
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
