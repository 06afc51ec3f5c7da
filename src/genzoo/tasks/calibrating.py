"""Training images, and how near to them held-out images come: what memorisation goes by."""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.data.dataset import TextImageData
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.memorisation import (
    MOST_HELD_OUT,
    Calibration,
    calibrate,
    too_few_for_memorisation,
)
from genzoo.metrics.real import RealFeatures, subset
from genzoo.tasks.real_images import features_of


def calibration(
    cfg: DictConfig,
    data: TextImageData,
    extractor: FeatureExtractor,
    real: RealFeatures,
    device: torch.device,
) -> Calibration | None:
    """The training images by one extractor, and what held-out images have; None without it.

    Args:
        cfg: the prepared configuration.
        data: whose splits were trained on and held out.
        extractor: of the features.
        real: features that were taken already, and are used again where they are of all training
            images.
        device: where distances are computed.
    """
    indices, held_out = training_indices(cfg, data), _held_out_indices(cfg, data)
    if not len(indices) or why_not(cfg, data) is not None:
        return None
    training = features_of(data, extractor, split="train", indices=indices)
    if (real.split, real.indices) == (training.split, training.indices):
        training = real  # one pass over distances serves both
    others = features_of(data, extractor, split="validation", indices=held_out)
    return calibrate(training, others, device=device)


def why_not(cfg: DictConfig, data: TextImageData) -> str | None:
    """Why memorisation cannot be measured; None where it can, or is not asked for."""
    if cfg.metrics.copies_among == 0:
        return None
    counts = len(training_indices(cfg, data)), len(_held_out_indices(cfg, data))
    return too_few_for_memorisation(*counts)


def training_indices(cfg: DictConfig, data: TextImageData) -> Tensor:
    """Which training images samples may be near-copies of, ascending."""
    indices = torch.as_tensor(data.split("train"))
    return subset(indices, cfg.metrics.copies_among, seed=cfg.metrics.seed)


def _held_out_indices(cfg: DictConfig, data: TextImageData) -> Tensor:
    indices = torch.as_tensor(data.split("validation"))
    return subset(indices, MOST_HELD_OUT, seed=cfg.metrics.seed)
