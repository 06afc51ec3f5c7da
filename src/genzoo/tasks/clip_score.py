"""The model of images and captions that scores samples, and what its score's stamp says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.image import to_float
from genzoo.core.precision import exact
from genzoo.data.dataset import TextImageData
from genzoo.metrics.clip_score import CLIPScore
from genzoo.metrics.kinship import TrainedOn, familiarity, kinship, weights_hash
from genzoo.metrics.stamp import definition
from genzoo.run import devices, scorers
from genzoo.tasks.measuring import Entry, Subject, origin, without_features
from genzoo.weights import checkpoint
from genzoo.weights.scorer_sources import source_of


def clip_score(cfg: DictConfig) -> tuple[CLIPScore, ImageTextModel] | None:
    """The measure and the model that it asks, where one is named.

    Raises:
        UsageError: for a model that compares no images and captions.
    """
    if cfg.metrics.clip is None:
        return None
    image_text = scorers.build_image_text_model(cfg.metrics.clip, cfg)
    return measure_of(image_text, device=devices.device(cfg)), image_text


def measure_of(image_text: ImageTextModel, *, device: torch.device, **options: Any) -> CLIPScore:
    """The measure that asks a model; `options` are torchmetrics' own."""

    @torch.no_grad()
    def similarity(images: Tensor, captions: Sequence[str]) -> Tensor:
        with exact(device):
            seen = image_text.encode_image(to_float(images).to(device))
            return (seen * image_text.encode_text(captions)).sum(dim=1)

    return CLIPScore(similarity, image_text.is_truncated, **options)


def clip_entries(
    cfg: DictConfig,
    data: TextImageData,
    score: CLIPScore,
    image_text: ImageTextModel,
    subject: Subject,
) -> dict[str, Entry]:
    """The CLIP score of samples, with the stamp of its model."""
    kin = kinship(image_text, model=subject.model, guidance=subject.guidance)
    measured = without_features(origin(cfg, data, subject))
    about = {
        **about_scorer(cfg, measured, score, image_text),
        "scorer_kinship": kin,
        **measured,
    }
    return {
        name: {**value._asdict(), "stamp": {**definition(name), **about}}
        for name, value in score.compute().items()
    }


def about_scorer(
    cfg: DictConfig, measured: Mapping[str, Any], score: CLIPScore, image_text: ImageTextModel
) -> dict[str, Any]:
    """The part of a stamp that says who scored, and what of it was known to the scorer before.

    Args:
        cfg: the prepared configuration.
        measured: the part of the stamp that says what was measured.
        score: that was computed.
        image_text: the scorer.
    """
    return {
        **image_text.about,
        "scorer_weights": weights_hash(image_text),
        "long_captions": f"cut, {100 * score.cut_share():.3g} % of them",
        "scorer_trained_on": familiarity(
            trained_on(cfg.metrics.clip, cfg),
            name=measured["data"],
            fingerprint=measured["data_fingerprint"],
            caption_split=measured["caption_split"],
        ),
    }


def trained_on(word: str, cfg: DictConfig) -> TrainedOn | None:
    """What a scorer was trained on; None where its checkpoint does not say so.

    Args:
        word: as for `scorers.find_scorer`.
        cfg: the prepared configuration.

    Raises:
        UsageError, GenzooError: where there is none, or it cannot be read.
    """
    if source_of(word) is not None:
        return None
    said = checkpoint.about(checkpoint.find(word, output=cfg.output))
    section = said["config"].get("data")
    name = section.get("name") if isinstance(section, Mapping) else None
    return None if name is None else TrainedOn(str(name), said.get("data_fingerprint"))
