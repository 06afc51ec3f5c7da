"""Linear maps of channels: activation normalisation and the invertible 1x1 convolution.

Kingma & Dhariwal, "Glow" (arXiv 1807.03039), sections 3.1 and 3.2.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.flows.transform import Features, Transform

LARGEST_GAIN = 1e4  # of a channel that hardly varies in the first images


class ActNorm(Transform):
    """A scale and a shift for each channel, at first such that data has mean 0 and variance 1.

    Args:
        channels: c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        z = (x - self.shift) * self.log_scale.exp()
        positions = x.shape[2] * x.shape[3]
        return z, (positions * self.log_scale.sum()).expand(len(x))

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        return z * (-self.log_scale).exp() + self.shift

    @torch.no_grad()
    def initialise(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        """Take mean and standard deviation of each channel from `x` (Glow, section 3.1)."""
        std, mean = torch.std_mean(x.double(), dim=(0, 2, 3), correction=0)
        self.shift.copy_(mean[:, None, None])
        self.log_scale.copy_(-std.clamp(min=1 / LARGEST_GAIN).log()[:, None, None])
        return self(x)[0]


class InvertibleConv(Transform):
    """The same invertible matrix at every position: W = P L (U + diag(s)), Glow equation (10).

    P is a fixed permutation, L unit lower triangular, U strictly upper triangular; log |det W| is
    the sum of log |s|, and the signs of s stay as they are.

    Args:
        channels: c.
        start: ``"rotation"``, a random one; ``"components"``: the principal components of the
            first images, so that channels which are copies of each other come apart at once (a
            random rotation until `initialise` is called).
    """

    def __init__(
        self, channels: int, *, start: Literal["rotation", "components"] = "rotation"
    ) -> None:
        super().__init__()
        self.start = start
        self.lower = nn.Parameter(torch.empty(channels, channels))
        self.upper = nn.Parameter(torch.empty(channels, channels))
        self.log_diagonal = nn.Parameter(torch.empty(channels))
        self.register_buffer("permutation", torch.empty(channels, channels))
        self.register_buffer("sign", torch.empty(channels))
        self.register_buffer("below", torch.ones(channels, channels).tril(-1))
        self.permutation: Tensor
        self.sign: Tensor
        self.below: Tensor
        self.set(torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64)).Q)

    @torch.no_grad()
    def set(self, weight: Float[Tensor, "c c"]) -> None:
        """Make `weight`, an invertible matrix, the one that is applied."""
        permutation, lower, upper = torch.linalg.lu(weight.double())
        diagonal = upper.diagonal()
        self.permutation.copy_(permutation)
        self.lower.copy_(lower * self.below)
        self.upper.copy_(upper * self.below.mT)
        self.log_diagonal.copy_(diagonal.abs().log())
        self.sign.copy_(diagonal.sign())

    def weight(self) -> Float[Tensor, "c c"]:
        """W."""
        lower = self.lower * self.below + torch.eye(len(self.sign), device=self.sign.device)
        upper = self.upper * self.below.mT + torch.diag(self.sign * self.log_diagonal.exp())
        return self.permutation @ lower @ upper

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        positions = x.shape[2] * x.shape[3]
        log_det = (positions * self.log_diagonal.sum()).expand(len(x))
        return F.conv2d(x, self.weight()[:, :, None, None]), log_det

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        inverse = torch.linalg.inv(self.weight().double()).to(z.dtype)
        return F.conv2d(z, inverse[:, :, None, None])

    @torch.no_grad()
    def initialise(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        """With ``start="components"``, take the principal components of `x`."""
        if self.start == "components":
            pixels = x.permute(0, 2, 3, 1).flatten(0, 2).double()
            covariance = torch.cov(pixels.mT).reshape(x.shape[1], x.shape[1])
            self.set(torch.linalg.eigh(covariance).eigenvectors.mT.flip(0))
        return self(x)[0]
