"""What must be known about a number before it is ranked with another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import genzoo
from genzoo.metrics.revisions import kind_of
from genzoo.metrics.settings import MetricSettings

if TYPE_CHECKING:  # comparing runs needs stamps, and no torch
    from genzoo.metrics.features import FeatureExtractor

Plain = str | int | float | bool | None

# They describe the thing that is compared, or the program, not the measurement.
REPORTED_ONLY = frozenset(
    {
        "seed",
        "sample_seed",
        "guidance",
        "sampler",
        "dequantisation",  # how tight a bound is, not what it bounds: always the 8-bit image
        "ema",
        "version",
        "git",
    }
)
# What held for every number before its stamp began to say so.
ASSUMED: Mapping[str, Plain] = {"precision": "32-true"}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The part of a stamp that all metrics of one evaluation share.

    Attributes:
        real_images: how many real images.
        generated_images: how many generated ones.
        real_split: the part of the data that the real images are.
        caption_split: the part of the data that the captions are from.
        sample_seed: of the generated images.
        guidance: mode and scale, in words.
        sampler: name and steps, in words; None where a model has none.
        precision: in which the model sampled; features are float32 always.
        ema: whether the averaged weights were used.
        data: the data set's name.
        data_fingerprint: of its content.
        image_size: side of the generated images, in pixels.
        git: the revision; None outside a checkout.
    """

    real_images: int
    generated_images: int
    real_split: str
    caption_split: str
    sample_seed: int
    guidance: str
    sampler: str | None
    precision: str
    ema: bool
    data: str
    data_fingerprint: str
    image_size: int
    git: str | None


def stamp(
    metric: str, *, extractor: FeatureExtractor, settings: MetricSettings, origin: Origin
) -> dict[str, Plain]:
    """Where a number comes from, flat and plain, as it stands in results.json.

    Args:
        metric: its name, as `genzoo.metrics.suite.evaluate` gives it.
        extractor: whose weights, resizing and quantisation go into the stamp.
        settings: the numbers of the metric itself (splits, subsets, neighbours).
        origin: the rest.
    """
    return {
        **measurement(
            metric,
            extractor=extractor,
            settings=settings,
            real=origin.real_images,
            fake=origin.generated_images,
        ),
        **asdict(origin),
        "version": genzoo.__version__,
    }


def measurement(
    metric: str, *, extractor: FeatureExtractor, settings: MetricSettings, real: int, fake: int
) -> dict[str, Plain]:
    """The part of a stamp that says how a number is computed, whatever the images are.

    Args:
        metric: its name.
        extractor: of the features.
        settings: of the metric.
        real: how many real images.
        fake: how many generated ones.
    """
    return {
        "metric": metric,
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "input_size": extractor.input_size,
        "resizing": extractor.resizing,
        "quantisation": extractor.quantisation,
        "settings": settings.of(kind_of(metric), real=real, fake=fake),
    }


def comparable(a: Mapping[str, Plain], b: Mapping[str, Plain]) -> list[str]:
    """The keys in which two stamps differ and that forbid ranking their numbers.

    Empty: they may be ranked. A key that only one of them has counts as a difference, unless it
    is known what held before there was such a key.
    """
    absent = object()
    keys = sorted((a.keys() | b.keys()) - REPORTED_ONLY)
    default = dict[str, object](ASSUMED)
    return [
        key
        for key in keys
        if a.get(key, default.get(key, absent)) != b.get(key, default.get(key, absent))
    ]
