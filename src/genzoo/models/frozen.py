"""Encoders that stay as they are while a model is trained on what they say of its images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder whose features of a data set can be computed once and kept.

    Attributes:
        network: whose weights decide the features.
        name: tells it from other encoders of the same network; another one whenever `encode`
            changes.
        encode: images in [-1, 1] to features.
    """

    network: nn.Module
    name: str
    encode: Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b k"]]


class HasFrozenEncoder(ABC):
    """A family that learns from the features of a frozen encoder.

    Attributes:
        known: the features of all images of the data by their indices, where they were computed
            beforehand; None to compute them for every batch.
    """

    known: Tensor | None

    @property
    @abstractmethod
    def frozen_encoder(self) -> FrozenEncoder:
        """The encoder with its final weights."""
