"""The interface of peers: training images, a clock, and the measurement that ours use too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from omegaconf import DictConfig
from torch import Tensor

if TYPE_CHECKING:
    from genzoo.data.dataset import TextImageData

Sampler = Callable[[int], Tensor]  # how many -> 8-bit images (n, 3, h, w)


class Peer(Protocol):
    """A contestant that is not ours.

    Attributes:
        parameters: trainable numbers of all its networks.
        batch: images in a training step.
        dequantisation: named where it has a likelihood.
    """

    parameters: int
    batch: int
    dequantisation: str | None

    def train(self, images: Stream, clock: Clock) -> None: ...

    def variants(self) -> Mapping[str, Sampler]:
        """Samplers that its users could choose; the table has the best one."""
        ...

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> Tensor | None:
        """Of each 8-bit image; None where it has no likelihood."""
        ...


@dataclass
class Clock:
    """The budget of training time; it starts at the first call."""

    seconds: float
    spent: float = 0.0
    images_seen: int = 0
    _start: float | None = None

    def left(self) -> bool:
        now = time.perf_counter()
        self._start = now if self._start is None else self._start
        self.spent = now - self._start
        return self.spent < self.seconds

    def saw(self, images: int) -> None:
        self.images_seen += images


class Stream:
    """Batches of training images, each epoch in another order, in memory from the start."""

    def __init__(self, images: Tensor, labels: Tensor, *, seed: int) -> None:
        self.images, self.labels = images, labels
        self._generator = torch.Generator().manual_seed(seed)

    @classmethod
    def of(cls, data: TextImageData, *, seed: int) -> Stream:
        """The split that genzoo's own models train on."""
        indices = data.split("train")
        return cls(data.images(indices), torch.from_numpy(data.labels[indices]), seed=seed)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """8-bit images and their classes, for ever; what does not fill a batch is left out."""
        while True:
            order = torch.randperm(len(self.images), generator=self._generator)
            for rows in order.split(size):
                if len(rows) == size:
                    yield self.images[rows], self.labels[rows]


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters() if p.requires_grad)


def sized(target: int, sizes: range, parameters: Callable[[int], int]) -> int:
    """The size whose number of parameters comes nearest to the target."""
    return min(sizes, key=lambda size: abs(parameters(size) - target))


def our_size(cfg: DictConfig, model: str) -> int:
    """Parameters of our model of this name, as its results count them."""
    from genzoo.config.composition import compose
    from genzoo.models.base import parameter_count
    from genzoo.run import build

    chosen: Any = compose(f"model={model}", f"data.image_size={cfg.data.image_size}")
    return parameter_count(build.build_model(chosen))
