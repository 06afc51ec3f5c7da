"""Numbers of each kind of image, each with its stamp."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from experiments.lab import trained as lab
from experiments.lab.entries import Entry, entries
from experiments.lab.trained import LoadedModel
from experiments.latent_space.images import partners
from genzoo.metrics.real import extract


def measure(
    trained: LoadedModel, images: Mapping[str, Tensor], extractor_name: str
) -> dict[str, dict[str, Entry]]:
    """Metrics by kind of image, against all training images."""
    real, extractor = lab.real(trained, extractor_name)
    features = {kind: extract(pixels.split(64), extractor) for kind, pixels in images.items()}
    found = {kind: entries(trained, real, fake, extractor) for kind, fake in features.items()}
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
