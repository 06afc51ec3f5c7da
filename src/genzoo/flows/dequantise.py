"""From 8-bit images to densities: noise within the width of a grey level.

A density p of the continuous y = k + u, with k in {0, ..., 255} and u in (0, 1), gives the 8-bit
image k the probability P(k) = integral of p(k + u) over u. For any distribution q(u | k),
log P(k) >= E_q[log p(k + u) - log q(u | k)] by Jensen's inequality: the reported value is a lower
bound of log P, for uniform q (Theis et al., arXiv 1511.01844, section 3.1) as for a learned one
(variational dequantisation, Ho et al., "Flow++", arXiv 1902.00275, equation (12)).

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.noise import Noise

LEVELS = 256  # values of an 8-bit pixel
PATCH = 4  # pixels of a square's side that a network handles as one
# Limits of the logarithm of A_ii. At the upper one u is about uniform; below the lower one nothing
# is gained (both densities narrow together) and precision is lost.
NARROWEST, WIDEST = math.log(0.1), math.log(2.0)
START = 2.0  # initial value before the sigmoid between the two: u is about uniform


@runtime_checkable
class Dequantisation(Protocol):
    """Samples u given an image.

    Attributes:
        name: as results show it.
    """

    name: str

    def __call__(
        self, image: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        """Sample u in (0, 1) for each pixel of images in [-1, 1], and log q(u | image) in nats."""
        ...


class Uniform(nn.Module):
    """u is uniform: log q = 0."""

    name = "uniform"

    def forward(
        self, image: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        return noise.uniform(*image.shape[1:]), image.new_zeros(len(image))


class Variational(nn.Module):
    """u = sigmoid(A e), e standard normal, A lower triangular matrix over a pixel's channels.

    A network chooses A for each pixel. Where a pixel is predictable, narrow noise costs less;
    where channels are correlated (grey images), correlated noise does. The median of u
    is 1/2, the centre of the grey level, whatever A is.

    Args:
        image_size: height and width of the images, divisible by `patch`.
        width: hidden channels of the network.
        patch: pixels of a square that the network handles as one.
        channels: c.
    """

    name = "variational"

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        """The number that divides height and width of the images, given its arguments."""
        return int(settings.get("patch", PATCH))

    def __init__(
        self, *, image_size: int, width: int, patch: int = PATCH, channels: int = 3
    ) -> None:
        super().__init__()
        self.patch, self.channels = patch, channels
        size, count = image_size // patch, channels * (channels + 1) // 2
        self.first = nn.Conv2d(channels * patch**2, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(width, size, size))
        self.last = nn.Conv2d(width, count * patch**2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(
        self, image: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        """u, and log q(u) = log N(e) - sum log A_ii - sum log u (1 - u)."""
        log_diagonal, below = self._matrix(image)
        e = noise.normal(*image.shape[1:])
        rows = [log_diagonal[:, row].exp() * e[:, row] for row in range(self.channels)]
        pairs = [(row, column) for row in range(self.channels) for column in range(row)]
        for k, (row, column) in enumerate(pairs):
            rows[row] = rows[row] + below[:, k] * e[:, column]
        logit = torch.stack(rows, dim=1)
        log_normal = -0.5 * (e.square() + math.log(2 * math.pi))
        log_slope = F.logsigmoid(logit) + F.logsigmoid(-logit)
        return torch.sigmoid(logit), (log_normal - log_diagonal - log_slope).flatten(1).sum(1)

    def _matrix(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithm of A_ii, within [NARROWEST, WIDEST], and A_ij for j < i, row by row."""
        h = self.first(F.pixel_unshuffle(image, self.patch)) + self.position
        raw = F.pixel_shuffle(self.last(F.silu(h)), self.patch)
        diagonal, below = raw.tensor_split([self.channels], dim=1)
        share = torch.sigmoid(diagonal + START)
        log_diagonal = NARROWEST + (WIDEST - NARROWEST) * share
        return log_diagonal, 4.0 * torch.tanh(below / 4.0)
