"""A run's trained model with its data, for studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.api.drawing import sample_images
from genzoo.config.values import escaped, read
from genzoo.data.dataset import TextImageData
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import RealFeatures, real_features
from genzoo.models.base import GenerativeModel, identity
from genzoo.run import build, devices, loading
from genzoo.tasks.measuring import real_indices
from genzoo.tasks.pictures import condition_of
from genzoo.text.tokenizer import Tokenizer

BATCH = 64  # images at once


@dataclass(frozen=True)
class LoadedModel:
    """The model and data of a run folder.

    Attributes:
        cfg: the run's configuration.
        model: with its averaged weights, on `device`.
        data: of its training.
        tokenizer: of its captions.
        device: where to compute.
    """

    cfg: DictConfig
    model: GenerativeModel
    data: TextImageData
    tokenizer: Tokenizer
    device: torch.device

    def in_batches(self, work: Callable[[slice], Tensor], count: int) -> Tensor:
        """The results of `work` for each batch of `count` rows, joined on the CPU."""
        parts = [slice(k, min(k + BATCH, count)) for k in range(0, count, BATCH)]
        with torch.no_grad():
            return torch.cat([work(part).cpu() for part in parts])

    def sample(self, indices: Sequence[int], *, seed: int, guidance: Any = identity) -> Tensor:
        """8-bit samples for the captions of these images."""
        parts = []
        for start in range(0, len(indices), BATCH):
            own = indices[start : start + BATCH]
            cond = condition_of(self.model, self.data, own, self.tokenizer)
            parts.append(
                sample_images(
                    self.model, cond, self.data.shape, seed=seed, indices=own,
                    device=self.device, guidance=guidance,
                )
            )  # fmt: skip
        return torch.cat(parts)


def load(folder: Path) -> LoadedModel:
    """The model of a finished run."""
    cfg = read(folder / "config.yaml")
    cfg.checkpoint = escaped(str(folder / "checkpoints" / "last.ckpt"))
    model, checkpoint = loading.trained_model(cfg)
    data = build.build_data(cfg)
    tokenizer = build.build_tokenizer(cfg, data, checkpoint)
    device = devices.device(cfg)
    return LoadedModel(cfg, model.to(device), data, tokenizer, device)


def real(
    trained: LoadedModel, name: str, count: int | None = None
) -> tuple[RealFeatures, FeatureExtractor]:
    """Features of `count` or all training images, and the extractor called `name`."""
    extractor = build_extractor(name, device=trained.device)
    cfg = trained.cfg.copy()
    cfg.metrics.real_split, cfg.metrics.real_images = "train", count
    indices = real_indices(cfg, trained.data)
    features = real_features(
        _batches(trained.data, indices.tolist()),
        extractor,
        cache=default_cache(),
        fingerprint=trained.data.fingerprint,
        split="train",
        indices=indices,
    )
    return features, extractor


def _batches(data: TextImageData, indices: Sequence[int]) -> Iterator[Tensor]:
    for start in range(0, len(indices), BATCH):
        yield data.images(indices[start : start + BATCH])
