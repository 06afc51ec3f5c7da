"""Real images that are measured in the place of samples, and what their stamps say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from omegaconf import DictConfig
from torch import Tensor

from genzoo.core.digest import of_items
from genzoo.core.noise import split_seed
from genzoo.data.dataset import TextImageData
from genzoo.machine import provenance
from genzoo.tasks.measuring import caption_order, real_indices


@dataclass(frozen=True)
class Chosen:
    """Real images in the place of samples.

    Attributes:
        indices: of the images in the data, in random order.
        split: that they are from.
    """

    indices: Int[Tensor, " n"]
    split: str


def held_out(cfg: DictConfig, data: TextImageData) -> Chosen:
    """Images outside of training and reference, as many as there are samples at most."""
    real = set(real_indices(cfg, data).tolist())
    rest = {
        name: [i for i in data.split(name).tolist() if i not in real]
        for name, count in data.splits.items()
        if name != "train" and count
    }
    used = [name for name, indices in rest.items() if indices]
    everything = torch.tensor(sorted({i for name in used for i in rest[name]}), dtype=torch.long)
    return Chosen(_some(everything, cfg, "held out"), " and ".join(used))


def training(cfg: DictConfig, data: TextImageData) -> Chosen:
    """Training images: those that are compared with, where the reference is the training split."""
    own = cfg.metrics.real_split == "train"
    every = real_indices(cfg, data) if own else torch.as_tensor(data.split("train"))
    return Chosen(_some(every, cfg, "again"), "train")


def captioned(cfg: DictConfig, data: TextImageData) -> Chosen:
    """The images whose captions are sampled for, each once."""
    order = caption_order(cfg, data)
    return Chosen(torch.tensor(order[: cfg.metrics.images]), cfg.metrics.caption_split)


def _some(indices: Tensor, cfg: DictConfig, what: str) -> Tensor:
    """As many of them as there are samples, in random order."""
    generator = torch.Generator().manual_seed(split_seed(cfg.metrics.seed, what))
    return indices[torch.randperm(len(indices), generator=generator)[: cfg.metrics.images]]


def about(cfg: DictConfig, data: TextImageData, chosen: Chosen) -> dict[str, Any]:
    """The part of a stamp that says which images were put in the place of samples."""
    return {
        "generated_images": len(chosen.indices),
        "reference_split": chosen.split,
        "reference_indices": of_items(chosen.indices.tolist()),
        "evaluation_seed": cfg.metrics.seed,
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "image_size": data.shape[-1],
        "version": provenance.software()["version"],
        "git": provenance.git_revision(),
    }
