"""denoising-diffusion-pytorch, unconditional, with its default objective and noise schedule.

Its trainer needs a folder of images and 100,000 steps; the steps here are its trainer's (Adam,
gradients clipped at 1, averaged weights), at rates for minutes: learning rate 1e-3 instead of
1e-4, batches of 64, and an average that begins short. None of them was tuned.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.peers.arena import Clock, Sampler, Stream, count, our_size, sized
from genzoo.core.image import to_uint8

MULTIPLES = (1, 2, 4)
STEPS = 20  # of DDIM, as many as ours
LONGEST = 0.99  # share of the average that survives a step


class DDPM:
    batch = 64
    dequantisation = None

    def __init__(self, width: int, size: int) -> None:
        from denoising_diffusion_pytorch import GaussianDiffusion

        self.diffusion = GaussianDiffusion(
            unet(width), image_size=size, sampling_timesteps=STEPS, auto_normalize=False
        )
        self.parameters = count(self.diffusion)
        self.average = copy.deepcopy(self.diffusion).requires_grad_(False)
        self._adam = torch.optim.Adam(self.diffusion.parameters(), lr=1e-3, betas=(0.9, 0.99))
        self._steps = 0

    def train(self, images: Stream, clock: Clock) -> None:
        batches = images.batches(self.batch)
        while clock.left():
            self.step(next(batches)[0])
            clock.saw(self.batch)

    def step(self, images: Tensor) -> float:
        loss = self.diffusion(images / 127.5 - 1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
        self._adam.step()
        self._adam.zero_grad()
        kept = min(LONGEST, (1 + self._steps) / (10 + self._steps))
        pairs = zip(self.average.parameters(), self.diffusion.parameters(), strict=True)
        with torch.no_grad():
            for mean, weight in pairs:
                mean.lerp_(weight, 1 - kept)
        self._steps += 1
        return float(loss.detach())

    def variants(self) -> Mapping[str, Sampler]:
        return {
            "averaged weights": lambda n: _sampled(self.average, n),
            "last weights": lambda n: _sampled(self.diffusion, n),
        }

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> None:
        return None


def unet(width: int) -> Any:
    from denoising_diffusion_pytorch import Unet

    return Unet(dim=width, dim_mults=MULTIPLES, flash_attn=True)


def _sampled(diffusion: Any, n: int) -> Tensor:
    diffusion.eval()
    return to_uint8(diffusion.sample(batch_size=n))


def same_size(cfg: DictConfig) -> DDPM:
    """The width whose number of parameters comes nearest to our diffusion model's."""
    target = our_size(cfg, "diffusion")
    width = sized(target, range(8, 97, 8), _parameters)
    made = DDPM(width, int(cfg.data.image_size))
    print(f"our diffusion has {target:,} parameters, Unet({width}) {made.parameters:,}")
    return made


def _parameters(width: int) -> int:
    with torch.random.fork_rng():
        return count(unet(width))
