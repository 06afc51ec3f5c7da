"""Numbers of each kind of image, each with its stamp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from experiments.lab import trained as lab
from experiments.lab.trained import Trained
from experiments.latent_space.images import partners
from genzoo import provenance
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.real import RealFeatures, extract
from genzoo.metrics.stamp import Origin, stamp
from genzoo.metrics.suite import evaluate
from genzoo.tasks.measuring import metric_settings

KEPT = ("frechet_distance", "kernel_distance", "precision", "recall")
Entry = dict[str, Any]


def measure(
    trained: Trained, images: Mapping[str, Tensor], extractor_name: str
) -> dict[str, dict[str, Entry]]:
    """Metrics by kind of image, against all training images."""
    real, extractor = lab.real(trained, extractor_name)
    features = {kind: extract(pixels.split(64), extractor) for kind, pixels in images.items()}
    found = {kind: _entries(trained, real, fake, extractor) for kind, fake in features.items()}
    for kind in ("midpoint", "crossfade"):
        if kind in features:
            ends = features["real" if "real" in features else "reconstruction"]
            share = between(features[kind].pooled, ends.pooled)
            found[kind]["between"] = {"value": share, "spread": None, "better": "higher"}
    return found


def between(middle: Tensor, ends: Tensor) -> float:
    """Share of midpoints nearer to both ends, in features, than these are to one another."""
    other = ends[partners(len(ends))]
    apart = torch.linalg.vector_norm(ends - other, dim=1)
    near = [torch.linalg.vector_norm(middle - end, dim=1) < apart for end in (ends, other)]
    return float((near[0] & near[1]).double().mean())


def _entries(
    trained: Trained, real: RealFeatures, fake: Features, extractor: FeatureExtractor
) -> dict[str, Entry]:
    settings = metric_settings(trained.cfg)
    values = evaluate(real, fake, extractor=extractor, settings=settings)
    origin = Origin(
        real_images=len(real),
        generated_images=len(fake),
        real_split="train",
        caption_split="validation",
        sample_seed=trained.cfg.seed,
        guidance="none",
        sampler=None,
        ema=True,
        data=trained.data.name,
        data_fingerprint=trained.data.fingerprint,
        image_size=trained.data.image_size,
        git=provenance.git_revision(),
    )
    return {
        name.partition("/")[0]: {
            **value._asdict(),
            "stamp": stamp(name, extractor=extractor, settings=settings, origin=origin),
        }
        for name, value in values.items()
        if name.partition("/")[0] in KEPT
    }
