"""What images of other programs are measured against: data, other images, or statistics alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.core.digest import of_items
from genzoo.core.errors import UsageError
from genzoo.data.dataset import TextImageData
from genzoo.data.image_set import ImageSet, Resized, batches, check_skipped
from genzoo.data.image_sets import open_image_set
from genzoo.machine.console import Progress
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import real_features
from genzoo.metrics.reference import (
    WITHOUT_IMAGES,
    ReferenceStatistics,
    StatisticsMetrics,
    has_statistics,
    read_statistics,
)
from genzoo.metrics.stamp import Plain
from genzoo.metrics.suite import FeatureMetrics, too_few
from genzoo.run import build
from genzoo.tasks import measuring
from genzoo.tasks.calibrating import why_not
from genzoo.tasks.extractors import configured_extractor

GIVEN = "given"  # the split of images that are no data set's
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Reference:
    """What images are measured against.

    Attributes:
        measures: one an extractor.
        about: what stamps say of it.
        data: the data set, if it is one.
        missing: the reason by metric, of what it cannot measure.
    """

    measures: list[FeatureMetrics]
    about: Mapping[str, Plain]
    data: TextImageData | None = None
    missing: dict[str, str] = field(default_factory=dict)


def build_reference(cfg: DictConfig, device: torch.device) -> Reference:
    """The images that `real=` names, statistics of such, or the data's.

    Raises:
        UsageError: where they cannot be read, or no extractor fits the statistics.
    """
    if cfg.real is None:
        return _of_data(cfg, device)
    path = Path(cfg.real).expanduser()
    if has_statistics(path):
        return _of_statistics(cfg, read_statistics(path), device)
    return _of_images(cfg, open_images(path, size=cfg.resize), device)


def open_images(path: str | Path, *, size: int | None) -> ImageSet:
    """The images of a set, resized where a size is given.

    Raises:
        UsageError: as `open_image_set`.
    """
    images = open_image_set(path)
    return images if size is None else Resized(images, size)


def _of_data(cfg: DictConfig, device: torch.device) -> Reference:
    data = build.build_data(cfg)
    measures = measuring.feature_metrics(cfg, data, device)
    indices = measuring.real_indices(cfg, data)
    real = len(indices)
    about: dict[str, Plain] = {
        "real_images": real,
        "real_split": cfg.metrics.real_split,
        "real_indices": of_items(indices.tolist()),
        "data": data.name,
        "data_fingerprint": data.fingerprint,
    }
    missing = _few(cfg, real)
    why = why_not(cfg, data) if measures else None
    if why is not None:
        missing["memorised"] = why
    return Reference(measures, about, data, missing)


def _of_images(cfg: DictConfig, images: ImageSet, device: torch.device) -> Reference:
    fingerprint = images.fingerprint()
    settings, measures = measuring.metric_settings(cfg), []
    count = sum(1 for _ in images.images())  # of those that can be read
    check_skipped(images, most=cfg.max_skipped)
    for extractor in _extractors(cfg, device):
        with Progress(f"{extractor.name} of real images", count) as progress:
            real = real_features(
                _counted(images, cfg.metrics.batch, progress.at),
                extractor,
                cache=default_cache(),
                fingerprint=fingerprint,
                split=GIVEN,
                indices=torch.arange(count),
            )
        measures.append(
            FeatureMetrics(
                real=real,
                extractor=extractor,
                settings=settings,
                without=too_few(count, settings),
                cache=default_cache(),
            )
        )
    about: dict[str, Plain] = {
        "real_images": count,
        "real_split": GIVEN,
        "real_indices": of_items(range(count)),
        "data": images.name,
        "data_fingerprint": fingerprint,
    }
    return Reference(measures, about, missing=_few(cfg, count) if measures else {})


def _of_statistics(
    cfg: DictConfig, reference: ReferenceStatistics, device: torch.device
) -> Reference:
    settings, measures = measuring.metric_settings(cfg), []
    missing: dict[str, str] = {}
    problem: UsageError | None = None
    for extractor in _extractors(cfg, device):
        try:
            measures.append(
                StatisticsMetrics(reference=reference, extractor=extractor, settings=settings)
            )
        except UsageError as error:
            problem = error
            missing[f"all of {extractor.name}"] = error.problem
    if problem is not None and not measures:
        raise problem
    why = f"{cfg.real} has the mean and covariance of features, and no images"
    missing |= dict.fromkeys(WITHOUT_IMAGES, why)
    about: dict[str, Plain] = {
        "real_images": NOT_KNOWN,
        "real_split": GIVEN,
        "real_indices": NOT_KNOWN,
        "data": f"statistics of {reference.name}",
        "data_fingerprint": reference.sha256,
    }
    return Reference(list(measures), about, missing=missing)


def _extractors(cfg: DictConfig, device: torch.device) -> list[FeatureExtractor]:
    found = []
    for name in cfg.metrics.extractors:
        weights = cfg.metrics.weights[name]
        if name == "domain" and weights is None:
            raise UsageError(
                "metrics.extractors=domain learns from the labels of data, and real= has none",
                "name its file with metrics.weights.domain=, or leave it away",
            )
        found.append(configured_extractor(cfg, name, weights=weights, device=device))
    return found


def _few(cfg: DictConfig, real: int) -> dict[str, str]:
    few = too_few(real, measuring.metric_settings(cfg)) if cfg.metrics.extractors else ()
    return dict.fromkeys(few, f"{real} real image{'s' * (real != 1)}")


def _counted(images: ImageSet, batch: int, at: Callable[[int], None]) -> Iterator[Tensor]:
    for part in batches(images, batch):
        yield part.pixels
        at(part.first + len(part.keys))
