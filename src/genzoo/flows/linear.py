"""Linear maps of channels: activation normalisation and the invertible 1x1 convolution.

Kingma & Dhariwal, "Glow" (arXiv 1807.03039), sections 3.1 and 3.2. Matrices are always applied in
float32: the inverse of a rounded one is another map.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.precision import exact
from genzoo.flows.transform import Features, Transform

LARGEST_GAIN = 1e4  # for a channel that is almost constant in the first images


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
    def data_dependent_init(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        """Take mean and standard deviation of each channel from `x` (Glow, section 3.1)."""
        std, mean = torch.std_mean(x.double(), dim=(0, 2, 3), correction=0)
        self.shift.copy_(mean[:, None, None])
        self.log_scale.copy_(-std.clamp(min=1 / LARGEST_GAIN).log()[:, None, None])
        z: Tensor = self(x)[0]
        return z


class InvertibleConv(Transform):
    """The same invertible matrix at every position: W = P L (U + diag(s)), Glow equation (10).

    P is a fixed permutation, L unit lower triangular, U strictly upper triangular; log |det W| is
    the sum of log |s|, and the signs of s stay as they are.

    Args:
        channels: c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
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
        """Set the matrix to `weight`, which is invertible."""
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
        with exact(x.device):
            return F.conv2d(x, self.weight()[:, :, None, None]), log_det

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        with exact(z.device):
            inverse = torch.linalg.inv(self.weight().double()).to(z.dtype)
            return F.conv2d(z, inverse[:, :, None, None])


class Whitening(Transform):
    """Principal components of the first images' channels, each with mean 0 and variance 1.

    Neighbouring pixels, and above all the colours of a grey image, are almost equal: in the
    components of their differences a tiny step of training has a large effect. So this map is
    not trained.

    Args:
        channels: c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("rotation", torch.eye(channels))
        self.register_buffer("log_std", torch.zeros(channels))
        self.mean: Tensor
        self.rotation: Tensor
        self.log_std: Tensor

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        with exact(x.device):
            rotated = F.conv2d(x - self.mean[:, None, None], self.rotation[:, :, None, None])
        positions = x.shape[2] * x.shape[3]
        log_det = (-positions * self.log_std.sum()).expand(len(x))
        return rotated * (-self.log_std).exp()[:, None, None], log_det

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        rotated = z * self.log_std.exp()[:, None, None]
        with exact(z.device):
            back = F.conv2d(rotated, self.rotation.mT[:, :, None, None])
        return back + self.mean[:, None, None]

    @torch.no_grad()
    def data_dependent_init(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        """Take mean and covariance over images and positions from `x`."""
        pixels = x.permute(0, 2, 3, 1).flatten(0, 2).double()
        mean = pixels.mean(0)
        variance, vectors = torch.linalg.eigh((pixels - mean).mT @ (pixels - mean) / len(pixels))
        self.mean.copy_(mean)
        self.rotation.copy_(vectors.mT.flip(0))
        self.log_std.copy_(0.5 * variance.flip(0).clamp(min=LARGEST_GAIN**-2).log())
        z: Tensor = self(x)[0]
        return z
