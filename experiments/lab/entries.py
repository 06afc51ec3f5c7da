"""Metrics of images that a study has drawn, each with its stamp."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from experiments.lab.trained import LoadedModel
from genzoo.machine import provenance
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.stamp import Origin, stamp
from genzoo.metrics.suite import evaluate
from genzoo.tasks.measuring import metric_settings

Entry = dict[str, Any]  # value, spread, better, stamp
METRICS = ("frechet_distance", "kernel_distance", "precision", "recall")


def entries(
    trained: LoadedModel,
    real: RealFeatures,
    fake: Features,
    extractor: FeatureExtractor,
    *,
    guidance: str = "none",
    sampler: str | None = None,
    sample_seed: int | None = None,
    kept: Collection[str] = METRICS,
) -> dict[str, Entry]:
    """By the metric's name without the extractor's.

    Args:
        trained: whose images they are.
        real: features of training images.
        fake: features of the images, drawn for held-out captions.
        extractor: of both.
        guidance: that they were drawn with, in words.
        sampler: the same.
        sample_seed: of their noise; None for the run's.
        kept: which metrics.
    """
    settings = metric_settings(trained.cfg)
    origin = Origin(
        real_images=len(real),
        real_split="train",
        real_indices=real.indices or "",
        generated_images=len(fake),
        caption_split="validation",
        captions=None,  # the first held-out ones, as many as the images
        given=trained.model.capabilities.given,
        training_seed=trained.cfg.seed,
        evaluation_seed=settings.seed,
        sample_seed=trained.cfg.seed if sample_seed is None else sample_seed,
        guidance=guidance,
        sampler=sampler,
        precision="32-true",  # as studies draw
        ema=True,
        data=trained.data.name,
        data_fingerprint=trained.data.fingerprint,
        image_size=trained.data.image_size,
        git=provenance.git_revision(),
    )
    found = evaluate(real, fake, extractor=extractor, settings=settings)
    return {
        name.partition("/")[0]: {
            **value._asdict(),
            "stamp": stamp(name, extractor=extractor, settings=settings, origin=origin),
        }
        for name, value in found.items()
        if name.partition("/")[0] in kept
    }
