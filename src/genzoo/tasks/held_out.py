"""What task=evaluate measures on held-out images: likelihood, reconstruction, recognition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor

from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.data.dataset import TextImageData
from genzoo.machine import provenance
from genzoo.metrics.interval import of_mean
from genzoo.metrics.stamp import definition
from genzoo.models.base import GenerativeModel, bits_per_dim
from genzoo.run import devices
from genzoo.tasks.measuring import Entry
from genzoo.text.tokenizer import Tokenizer


@torch.no_grad()
def held_out(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    device: torch.device,
    *,
    training_seed: int | None = None,
) -> dict[str, Entry]:
    """Likelihood, reconstruction and recognition of held-out images, as far as a model goes."""
    indices = data.spread("validation", cfg.metrics.held_out_images).tolist()
    if not indices:
        return {}

    def batches() -> Iterator[Batch]:
        for start in range(0, len(indices), cfg.metrics.batch):
            part = indices[start : start + cfg.metrics.batch]
            yield data.batch(part, tokenizer, all_captions=True).to(device)

    bits, psnr = _likelihood_and_psnr(model, batches(), seed=cfg.seed, shape=data.shape)
    scoring_metrics = model.scoring_metrics(
        (batch, Noise.of(cfg.seed, batch.index, "recognition", device=device))
        for batch in batches()
    )
    about = {
        "split": "validation", "images": len(indices), "data": data.name,
        "data_fingerprint": data.fingerprint, "image_size": data.shape[-1], "ema": True,
        "precision": devices.stated_precision(cfg),
        "given": model.capabilities.given, "training_seed": training_seed,
        "sample_seed": cfg.seed, "version": provenance.software()["version"],
        "git": provenance.git_revision(),
    }  # fmt: skip
    asked = int(data.wordings.count[indices].sum())
    captions = {} if asked == len(indices) else {"retrieved_captions": asked}
    entries: dict[str, Entry] = {}
    if bits is not None:
        own = {
            "likelihood": model.capabilities.likelihood,
            "dequantisation": getattr(model, "dequantisation", None),
        }
        entries["bits_per_dim"] = _entry("bits_per_dim", bits, "lower", own | about)
    if psnr is not None:
        own = {"unit": "dB"}
        entries["reconstruction_psnr"] = _entry("reconstruction_psnr", psnr, "higher", own | about)
    return entries | {
        name: _entry(name, right, "higher", about | captions)
        for name, right in scoring_metrics.items()
    }


def _likelihood_and_psnr(
    model: GenerativeModel, batches: Iterator[Batch], *, seed: int, shape: tuple[int, int, int]
) -> tuple[Float[Tensor, " n"] | None, Float[Tensor, " n"] | None]:
    """Bits per dimension and decibels of each image; None for what the model does not have."""
    can = model.capabilities
    bits, errors = [], []
    for batch in batches if can.likelihood is not None or can.reconstruct else ():
        if can.likelihood is not None:
            noise = Noise.of(seed, batch.index, "likelihood", device=batch.image.device)
            bits.append(bits_per_dim(model.log_prob(batch, noise=noise), shape).cpu())
        if can.reconstruct:
            rebuilt = model.reconstruct(batch.image, batch.condition)
            errors.append((rebuilt - batch.image).square().flatten(1).mean(1).double().cpu())
    psnr = None
    if errors:  # the range [-1, 1] has width 2
        psnr = 10 * torch.log10(4.0 / torch.cat(errors).clamp(min=1e-10))
    return torch.cat(bits) if bits else None, psnr


def _entry(
    metric: str, values: Float[Tensor, " n"], better: str, about: Mapping[str, Any]
) -> Entry:
    """The mean over the images, with its interval over them and its stamp."""
    error, interval = of_mean(values.double().tolist()) or (None, None)
    return {
        "value": float(values.double().mean()),
        "spread": None,
        "better": better,
        "standard_error": error,
        "interval": interval,
        "stamp": {**definition(metric), **about},
    }
