"""`genzoo.metrics.score`: the metrics of any images against any others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor

from genzoo.config.paths import config_dir
from genzoo.core.errors import UsageError
from genzoo.data.dataset import TextImageData
from genzoo.data.input_images import Pictures, channels_first, each, open_picture
from genzoo.machine.console import silence
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import RealFeatures, extract, real_features, subset
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Plain, measurement
from genzoo.metrics.suite import evaluate

BATCH = 64  # images at once; does not change the numbers


@dataclass(frozen=True)
class Score:
    """A number with what has to be known before it is compared with another.

    Attributes:
        value: the number.
        spread: standard deviation over splits or subsets; None where there are none.
        better: the direction in which images improve.
        stamp: network, preprocessing, settings and numbers of images behind it.
    """

    value: float
    spread: float | None
    better: Literal["lower", "higher"]
    stamp: Mapping[str, Plain]


def score(
    images: Pictures,
    *,
    against: Pictures | TextImageData,
    features: str = "efficientnet_lite0",
    weights: str | Path | None = None,
    device: str = "cpu",
    split: str = "train",
    real_images: int | None = None,
    **settings: int,
) -> dict[str, Score]:
    """Fréchet and kernel distance, precision, recall, density, coverage and the Inception Score.

    Args:
        images: a list of files, PIL images, arrays or tensors, an array (n, h, w, 3), a tensor
            (n, 3, h, w), or a folder.
        against: real images: the same, or a data set of `genzoo.data.open`, whose features are
            kept in the cache.
        features: `efficientnet_lite0`, `inception` or `domain`, see `build_extractor`.
        weights: of that network; None for its own place.
        device: where the network computes.
        split: of a data set.
        real_images: how many images of the split, chosen as `metrics.real_images=` does; None for
            all.
        **settings: `splits`, `subsets`, `subset_size`, `neighbours`, `density_neighbours` and
            `seed`, as in configs/metrics/default.yaml.

    Returns:
        The numbers by the names that `results.json` has.

    Raises:
        UsageError: for unknown settings or features, or what is no image.
        GenzooError: too few images for a metric; the message says how many it needs.

    Examples:
        >>> genzoo.metrics.score(samples, against="photos")["frechet_distance/efficientnet_lite0"]
    """
    numbers = _settings(settings)
    extractor = build_extractor(features, weights=weights, device=device)
    fake = extract(_batches(images), extractor)
    with silence():
        real = _real(against, extractor, split=split, count=real_images, seed=numbers.seed)
    found = evaluate(real, fake, extractor=extractor, settings=numbers)
    about = {"data_fingerprint": real.fingerprint} if isinstance(against, TextImageData) else {}
    return {
        name: Score(
            *value[:3],
            stamp={
                **measurement(
                    name, extractor=extractor, settings=numbers, real=len(real), fake=len(fake)
                ),
                "real_images": len(real),
                "generated_images": len(fake),
                **about,
            },
        )
        for name, value in found.items()
    }


def _settings(given: Mapping[str, Any]) -> MetricSettings:
    names = [field.name for field in fields(MetricSettings)]
    for name in given:
        if name not in names:
            raise UsageError(f"metrics have no setting {name}", f"there are: {', '.join(names)}")
    file = config_dir() / "metrics" / "default.yaml"
    defaults = yaml.safe_load(file.read_text(encoding="utf-8"))
    return MetricSettings(**{name: given.get(name, defaults[name]) for name in names})


def _real(
    against: Pictures | TextImageData,
    extractor: FeatureExtractor,
    *,
    split: str,
    count: int | None,
    seed: int,
) -> RealFeatures:
    if not isinstance(against, TextImageData):
        return RealFeatures(extract(_batches(against), extractor).pooled, "given", "given")
    rows = subset(torch.as_tensor(against.split(split)), count, seed=seed)
    return real_features(
        (against.images(part.tolist()) for part in rows.split(BATCH)),
        extractor,
        cache=default_cache(),
        fingerprint=against.fingerprint,
        split=split,
        indices=rows,
    )


def _batches(images: Pictures) -> Iterator[Tensor]:
    """8-bit batches; images of another size than the one before begin a new one."""
    batch: list[Tensor] = []
    for image in each(images):
        pixels = channels_first(open_picture(image))
        if batch and (len(batch) == BATCH or batch[0].shape != pixels.shape):
            yield torch.stack(batch)
            batch = []
        batch.append(pixels)
    if batch:
        yield torch.stack(batch)
