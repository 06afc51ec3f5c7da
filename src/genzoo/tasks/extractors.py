"""The feature extractors that a configuration names, those made of a CLIP among them."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig

from genzoo.metrics.clip_features import PUBLISHED_WORD, clip_extractor
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.features import FeatureExtractor
from genzoo.run import scorers

CLIP = "clip"


def configured_extractor(
    cfg: DictConfig, name: str, *, weights: str | Path | None, device: torch.device
) -> FeatureExtractor:
    """The extractor called `name`.

    Args:
        cfg: the prepared configuration.
        name: as in `metrics.extractors`.
        weights: as in `metrics.weights`: a file, or for a CLIP any word for one.
        device: where it computes.

    Raises:
        UsageError, GenzooError: as of `build_extractor`, or of `scorers.load_scorer`.
    """
    if name != CLIP:
        return build_extractor(name, weights=weights, device=device)
    word = PUBLISHED_WORD if weights is None else str(weights)
    return clip_extractor(
        scorers.build_image_text_model(word, cfg).to(device), word=word, device=device
    )
