"""normflows' Glow, as the library's own example of it sets it up and trains it.

Class-conditional, three levels, channel-wise coupling; pixels scaled by 255/256 with uniform noise
of one grey level on top; Adamax with learning rate 1e-3 and weight decay 1e-5, batches of 128,
steps whose loss is not finite left out. Only depth and width are ours: the example's (16 steps a
level, 256 hidden channels) is many times larger than our flow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.peers.arena import Clock, Sampler, Stream, count, our_size, sized
from genzoo.config.composition import compose

SIDE, CHANNELS, LEVELS, CLASSES = 32, 3, 3, 10
GREY = 256  # levels of a pixel


def build(steps: int, hidden: int) -> Any:
    """A MultiscaleFlow of images in [0, 1), coarsest level first as the library expects."""
    import normflows as nf

    flows, merges, bases = [], [], []
    for level in range(LEVELS):
        depth = LEVELS - level  # how often the finest map has been squeezed
        channels = CHANNELS * 2 ** (depth + 1)
        blocks = [
            nf.flows.GlowBlock(channels, hidden, split_mode="channel", scale=True)
            for _ in range(steps)
        ]
        flows.append([*blocks, nf.flows.Squeeze()])
        # All but the coarsest level keep half of their channels for themselves.
        kept = channels if level == 0 else channels // 2
        shape = (kept, SIDE // 2**depth, SIDE // 2**depth)
        bases.append(nf.distributions.ClassCondDiagGaussian(shape, CLASSES))
        if level:
            merges.append(nf.flows.Merge())
    return nf.MultiscaleFlow(bases, flows, merges)


class Glow:
    batch = 128
    dequantisation = "uniform"

    def __init__(self, steps: int, hidden: int, *, temperatures: tuple[float, ...]) -> None:
        self.flow = build(steps, hidden)
        self.parameters = count(self.flow)
        self.temperatures = temperatures
        self.left_out = 0
        self._adamax = torch.optim.Adamax(self.flow.parameters(), lr=1e-3, weight_decay=1e-5)
        self._shares = torch.ones(CLASSES)

    def train(self, images: Stream, clock: Clock) -> None:
        self._shares = torch.bincount(images.labels, minlength=CLASSES).float()
        batches = images.batches(self.batch)
        while clock.left():
            self.step(*next(batches))
            clock.saw(self.batch)
        if self.left_out:
            print(f"{self.left_out} steps had a loss that is not finite")

    def step(self, images: Tensor, labels: Tensor) -> float:
        self._adamax.zero_grad()
        loss = self.flow.forward_kld(_dequantised(images), labels)
        if torch.isfinite(loss):
            loss.backward()
            self._adamax.step()
        else:
            self.left_out += 1
        return float(loss.detach())

    def variants(self) -> Mapping[str, Sampler]:
        return {f"temperature {t:g}": lambda n, t=t: self._sample(n, t) for t in self.temperatures}

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> Tensor:
        """Of the 8-bit image, a bound: each grey level is 1/256 wide."""
        self.flow.eval()
        nats = self.flow(_dequantised(images), labels)
        dimensions = images[0].numel()
        return nats / (math.log(2) * dimensions) + math.log2(GREY)

    def _sample(self, n: int, temperature: float) -> Tensor:
        """Classes as often as in the training images; a pixel's level is where it falls."""
        self.flow.eval()
        labels = torch.multinomial(self._shares, n, replacement=True)
        x, _ = self.flow.sample(y=labels, temperature=temperature)
        return (torch.nan_to_num(x) * GREY).floor().clamp(0, GREY - 1).to(torch.uint8)


def _dequantised(images: Tensor) -> Tensor:
    """(k + u) / 256, u uniform: as the library's Scale and Jitter transform 8-bit pixels."""
    return (images + torch.rand(images.shape)) / GREY


def same_size(cfg: DictConfig) -> Glow:
    """Our flow's parameters, and its steps a level; sampled at its temperature and at 1."""
    flow = compose("model=flow", f"data.image_size={cfg.data.image_size}").model
    steps, target = flow.arch.steps, our_size(cfg, "flow")
    hidden = sized(target, range(8, 257), lambda width: _parameters(steps, width))
    made = Glow(steps, hidden, temperatures=tuple({1.0, float(flow.temperature)}))
    print(
        f"our flow has {target:,} parameters, Glow({LEVELS} levels of {steps} steps, "
        f"{hidden} hidden) {made.parameters:,}"
    )
    return made


def _parameters(steps: int, hidden: int) -> int:
    """From three small ones: the number is a quadratic polynomial of the width."""
    widths = torch.tensor([8.0, 16.0, 24.0], dtype=torch.float64)
    counts = torch.tensor([_counted(steps, int(width)) for width in widths], dtype=torch.float64)
    c = torch.linalg.solve(torch.stack([widths**2, widths, widths**0], dim=1), counts)
    return round(float(c[0] * hidden**2 + c[1] * hidden + c[2]))


def _counted(steps: int, hidden: int) -> int:
    return count(build(steps, hidden))
