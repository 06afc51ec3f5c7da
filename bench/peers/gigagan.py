"""gigagan-pytorch, unconditional, by its own trainer with its own losses and rates.

Its README shows it at 256 px; what had to be chosen for 32 px is in `networks`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from bench.peers.arena import Clock, Sampler, Stream, count, our_size, sized
from genzoo.core.image import to_uint8

SIDE = 32
CHUNK = 1  # steps between two looks at the clock


def networks(capacity: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of both networks; the widths follow `capacity`, attention is at 16 px."""
    shared = {
        "image_size": SIDE, "dim_capacity": capacity, "dim_max": 512,
        "num_skip_layers_excite": 2, "unconditional": True,
    }  # fmt: skip
    g = {
        **shared, "dim_latent": 8 * capacity, "style_network": {"dim": 64, "depth": 4},
        "self_attn_resolutions": (16,), "self_attn_heads": 4, "self_attn_dim_head": 32,
    }  # fmt: skip
    d = {**shared, "attn_resolutions": (16,), "attn_heads": 4, "attn_dim_head": 32}
    return g, d


class Images(Dataset[Tensor]):
    """Training images in [0, 1], as its trainer expects."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i] / 255


class GigaGAN:
    batch = 64
    dequantisation = None

    def __init__(self, capacity: int) -> None:
        from gigagan_pytorch import GigaGAN as Trainer

        g, d = networks(capacity)
        # It creates folders at once; nothing in them is used.
        self._folder = tempfile.TemporaryDirectory(prefix="gigagan-")
        self.trainer = Trainer(
            generator=g,
            discriminator=d,
            model_folder=f"{self._folder.name}/models",
            results_folder=f"{self._folder.name}/pictures",
            save_and_sample_every=10**9,
            early_save_thres_steps=0,
            log_steps_every=10**9,
        )
        self.parameters = count(self.trainer.unwrapped_G, self.trainer.unwrapped_D)

    def train(self, images: Stream, clock: Clock) -> None:
        loader = DataLoader(
            Images(images.images), batch_size=self.batch, shuffle=True, drop_last=True
        )
        self.trainer.set_dataloader(loader)
        self.trainer(steps=1)  # the first one also writes images and a checkpoint: not timed
        while clock.left():
            self.trainer(steps=CHUNK)
            clock.saw(CHUNK * self.batch)

    def variants(self) -> Mapping[str, Sampler]:
        trainer = self.trainer
        return {
            "averaged weights": lambda n: self._sample(trainer.G_ema, n),
            "last weights": lambda n: self._sample(trainer.unwrapped_G, n),
        }

    def bits_per_dim(self, images: Tensor, labels: Tensor) -> None:
        return None

    def _sample(self, generator: nn.Module, n: int) -> Tensor:
        generator.eval()
        return to_uint8(2 * generator(batch_size=n) - 1)


def same_size(cfg: DictConfig) -> GigaGAN:
    """The capacity whose number of parameters comes nearest to our GAN's."""
    target = our_size(cfg, "gan")
    capacity = sized(target, range(2, 17), _parameters)
    made = GigaGAN(capacity)
    print(f"our GAN has {target:,} parameters, GigaGAN({capacity=}) {made.parameters:,}")
    return made


def _parameters(capacity: int) -> int:
    from gigagan_pytorch import Discriminator, Generator

    g, d = networks(capacity)
    with torch.random.fork_rng():
        return count(Generator(**g), Discriminator(**d))
