"""DCGAN (Radford et al., arXiv 1511.06434) at 32 px, in the customary recipe.

Transposed convolutions with batch normalisation, weights from N(0, 0.02), Adam with
learning rate 2e-4 and betas (0.5, 0.999), binary cross-entropy, 64 images a step, one step of the
generator for each of the discriminator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from bench.peers.arena import Clock, Sampler, Stream, count, our_size, sized
from genzoo.core.image import to_float, to_uint8

LATENT = 100
CLASSIC = 32  # a common choice of features for small images


def generator(features: int, *, latent: int = LATENT, channels: int = 3) -> nn.Sequential:
    """(b, latent, 1, 1) to (b, channels, 32, 32) in [-1, 1]."""
    widths = [4 * features, 2 * features, features]
    layers = _up(latent, widths[0], stride=1, padding=0)  # one position to 4 x 4
    for before, after in pairwise(widths):
        layers += _up(before, after)
    last = nn.ConvTranspose2d(features, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(*layers, last, nn.Tanh()).apply(initial)


def discriminator(features: int, *, channels: int = 3) -> nn.Sequential:
    """(b, channels, 32, 32) to logits (b, 1, 1, 1)."""
    layers: list[nn.Module] = [_down(channels, features), nn.LeakyReLU(0.2)]
    for width in (features, 2 * features):
        layers += [_down(width, 2 * width), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(4 * features, 1, 4, bias=False)).apply(initial)


def _up(before: int, after: int, *, stride: int = 2, padding: int = 1) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


def _down(before: int, after: int) -> nn.Module:
    return nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)


def initial(module: nn.Module) -> None:
    """The paper's initial weights, section 4."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DCGAN:
    batch = 64
    dequantisation = None

    def __init__(self, features: int) -> None:
        self.features = features
        self.g, self.d = generator(features), discriminator(features)
        self.parameters = count(self.g, self.d)
        self._adam_g, self._adam_d = (
            torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for net in (self.g, self.d)
        )

    def train(self, images: Stream, clock: Clock) -> None:
        batches = images.batches(self.batch)
        while clock.left():
            real, _ = next(batches)
            self.step(to_float(real))
            clock.saw(len(real))

    def step(self, real: Tensor) -> tuple[float, float]:
        """One step of each network on images in [-1, 1]; their losses."""
        fake = self.g(torch.randn(len(real), LATENT, 1, 1))
        self._adam_d.zero_grad()
        loss_d = _loss(self.d(real), 1.0) + _loss(self.d(fake.detach()), 0.0)
        loss_d.backward()
        self._adam_d.step()
        self._adam_g.zero_grad()
        loss_g = _loss(self.d(fake), 1.0)
        loss_g.backward()
        self._adam_g.step()
        return float(loss_d.detach()), float(loss_g.detach())

    def variants(self) -> Mapping[str, Sampler]:
        """Batch normalisation by running averages, or by each batch as in training."""
        return {
            "running averages": lambda n: self._sample(n, training=False),
            "batch statistics": lambda n: self._sample(n, training=True),
        }

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> None:
        return None

    def _sample(self, n: int, *, training: bool) -> Tensor:
        self.g.train(training)
        # Statistics of a small last batch would be another distribution: whole batches only.
        latent = torch.randn(max(n, self.batch), LATENT, 1, 1)
        return to_uint8(self.g(latent)[:n])


def _loss(logits: Tensor, real: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def same_size(cfg: DictConfig) -> DCGAN:
    """As many parameters as our GAN, text encoders included."""
    target = our_size(cfg, "gan")
    features = sized(target, range(8, 129), _parameters)
    net = DCGAN(features)
    print(f"our GAN has {target:,} parameters, DCGAN(nf={features}) {net.parameters:,}")
    return net


def _parameters(features: int) -> int:
    with torch.device("meta"):
        return count(generator(features), discriminator(features))


def classic(cfg: DictConfig) -> DCGAN:
    return DCGAN(CLASSIC)
