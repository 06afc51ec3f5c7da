"""What of a model can be measured on the data at hand: known before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from omegaconf import DictConfig

from genzoo.config.objects import target
from genzoo.core.errors import UsageError
from genzoo.core.types import Capabilities
from genzoo.data.dataset import TextImageData
from genzoo.machine import distributed
from genzoo.machine.console import status
from genzoo.metrics.domain import LEAST, check_classes
from genzoo.metrics.frechet_infinity import least_samples
from genzoo.metrics.suite import too_few
from genzoo.run import devices
from genzoo.tasks.calibrating import why_not
from genzoo.tasks.extractors import CLIP, configured_extractor
from genzoo.tasks.measuring import metric_settings, real_indices


def check_measurable(cfg: DictConfig, data: TextImageData) -> None:
    """Refuse measurements that cannot be made, and name those that the data are too few for.

    Args:
        cfg: the prepared configuration.
        data: that is trained on.

    Raises:
        UsageError: for a split that is not there, weights that cannot be read, or a classifier of
            labels without labels.
        GenzooError: for weights that cannot be fetched.
    """
    capabilities: Capabilities = target(cfg.model._target_).capabilities
    if capabilities.sampling is not None:
        for key in ("real_split", "caption_split"):
            _check_split(key, cfg.metrics[key], data)
        features = _check_extractors(cfg, data)
        real = len(real_indices(cfg, data))
        few = too_few(real, metric_settings(cfg)) if cfg.metrics.extractors else ()
        reason = why_not(cfg, data) if cfg.metrics.extractors else None
        if reason is not None:
            _name(("memorised",), reason)
        _name(few, f"{real} real image{'s' if real != 1 else ''} of {cfg.metrics.real_split}")
        for name, dim in features.items():
            if cfg.metrics.images < (least := least_samples(dim)):
                _name(
                    [f"frechet_distance_infinity/{name}"],
                    f"{dim:,} features need metrics.images={least} or more",
                )
    if not len(data.split("validation")):
        _name(_of_held_out(capabilities), "no held-out images")


def _name(metrics: Iterable[str], why: str) -> None:
    names = ", ".join(metrics)
    if names:
        status(f"  not measured: {names} ({why})")


def _of_held_out(can: Capabilities) -> list[str]:
    wanted = {
        "bits_per_dim": can.likelihood is not None,
        "reconstruction_psnr": can.reconstruct,
        "recognition": can.sampling is None,
    }
    return [name for name, measured in wanted.items() if measured]


def _check_split(key: str, name: str, data: TextImageData) -> None:
    filled = [split for split, count in data.splits.items() if count]
    if name not in filled:
        what = "has no images" if name in data.splits else "is no split of it"
        raise UsageError(
            f"metrics.{key}={name}: {data.name} is to be measured, and {name} {what}",
            f"choose one of {', '.join(filled)}",
        )


def _check_extractors(cfg: DictConfig, data: TextImageData) -> dict[str, int]:
    """How many features each has that needs no training first."""
    features = {}
    for name in cfg.metrics.extractors:
        weights = cfg.metrics.weights[name]
        if weights is not None and name != CLIP and not Path(weights).expanduser().is_file():
            raise UsageError(
                f"metrics.weights.{name}={weights}: there is no such file",
                "name another, or leave it away",
            )
        if name == "domain" and weights is None:
            _check_labels(data)
        elif distributed.rank() == 0:  # what has to be fetched is fetched now
            on = devices.device(cfg)
            features[name] = configured_extractor(cfg, name, weights=weights, device=on).dim
    return features


def _check_labels(data: TextImageData) -> None:
    indices = data.split("train")
    check_classes(len(indices), torch.as_tensor(data.labels[indices]))
    if len(indices) < LEAST:
        raise UsageError(
            f"{len(indices)} images are too few for a domain classifier to learn from",
            f"give {LEAST} or more, or use metrics=default",
        )
