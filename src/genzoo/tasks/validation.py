"""Validation of a training: losses and samples on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from omegaconf import DictConfig

from genzoo.api.drawing import sample_images
from genzoo.core.image import grid, save_png
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.data.dataset import TextImageData
from genzoo.lit.health import diversity
from genzoo.lit.module import GenerativeModule, named
from genzoo.lit.monitor import Samples, ValidationResult
from genzoo.machine import distributed
from genzoo.run import devices
from genzoo.tasks.pictures import condition_of
from genzoo.text.tokenizer import Tokenizer

MONITOR_SAMPLES = 32
MONITOR_BATCH = 8  # of them at once; a signal waits for no more


@torch.no_grad()
def look(
    cfg: DictConfig,
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    pause: Callable[[], None],
) -> ValidationResult:
    """Losses and samples of the moving average for held-out images and their captions.

    Args:
        cfg: the prepared configuration.
        module: in training.
        data: whose images.
        tokenizer: of their captions.
        pause: called between the parts of the validation.
    """
    generates = module.model.capabilities.sampling is not None
    with devices.precision(cfg)():
        samples = _samples(cfg, module, data, tokenizer, pause) if generates else None
        return ValidationResult(_losses(cfg, module, data, tokenizer, pause), samples)


@torch.no_grad()
def _losses(
    cfg: DictConfig,
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    pause: Callable[[], None],
) -> dict[str, float]:
    """Mean losses of the moving average on held-out images, with the same noise every time."""
    indices = data.spread("validation", cfg.trainer.validation_images).tolist()
    if not indices:
        return {}
    objectives = module.ema.model.objectives()
    sums: dict[str, float] = {}
    size = cfg.optimizer.batch_size // distributed.world()  # contrastive losses depend on it
    for batch in batches(module, data, tokenizer, indices, size):
        pause()
        noise = Noise.of(cfg.seed, batch.index, "validation", device=module.device)
        for objective, of in objectives.items():
            losses = of.losses(batch, noise=noise)
            for name, value in named(losses, objective, of=len(objectives)).items():
                sums[name] = sums.get(name, 0.0) + float(value.double().sum())
    return {name: value / len(indices) for name, value in sums.items()}


def _samples(
    cfg: DictConfig,
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    pause: Callable[[], None],
) -> Samples:
    shown = "validation" if len(data.split("validation")) > 1 else "train"
    indices = data.spread(shown, MONITOR_SAMPLES).tolist()
    model, device = module.ema.model, module.device
    sampled = []
    for start in range(0, len(indices), MONITOR_BATCH):
        pause()
        part = indices[start : start + MONITOR_BATCH]
        cond = condition_of(model, data, part, tokenizer)
        sampled.append(
            sample_images(model, cond, data.shape, seed=cfg.seed, indices=part, device=device)
        )
    samples = torch.cat(sampled)
    path = Path(cfg.run.folder) / "progress" / f"{module.images_seen:09d}.png"
    if distributed.rank() == 0:
        path.parent.mkdir(exist_ok=True)
        save_png(path, grid(samples, columns=8), scale=2)
    several = len(indices) > 1  # a single sample has no diversity
    return Samples(path, diversity(samples, data.images(indices)) if several else None)


def batches(
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    indices: list[int],
    size: int = 64,
) -> Iterator[Batch]:
    """These items in batches of `size`, on the model's device."""
    for start in range(0, len(indices), size):
        yield data.batch(indices[start : start + size], tokenizer).to(module.device)
