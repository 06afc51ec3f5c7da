"""Log-likelihoods as `Model.log_prob` returns them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from genzoo.models.base import bits_per_dim


@dataclass(frozen=True)
class LogProb:
    """Log-likelihoods of 8-bit images.

    Attributes:
        nats: one an image, float64, shape (n,).
        exact: whether they are exact; else lower bounds.
        shape: channels, height and width of the images.
    """

    nats: Float[Tensor, " n"]
    exact: bool
    shape: tuple[int, int, int]

    @property
    def bits_per_dim(self) -> Float[Tensor, " n"]:
        """The same in bits per 8-bit channel of a pixel; smaller is likelier."""
        return bits_per_dim(self.nats, self.shape)
