"""What must be known about a number before it is ranked with another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import genzoo
from genzoo.metrics.settings import MetricSettings

if TYPE_CHECKING:  # comparing runs needs stamps, and no torch
    from genzoo.metrics.features import FeatureExtractor

Plain = str | int | float | bool | None

# They describe the thing that is compared, or the program, not the measurement.
REPORTED_ONLY = frozenset({"seed", "sample_seed", "guidance", "sampler", "ema", "version", "git"})
KINDS = {"fid": "frechet_distance", "kid": "kernel_distance"}


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Where a number comes from.

    Attributes:
        metric: its name, as in the results.
        extractor: the feature extractor's name.
        extractor_sha256: of its weights.
        input_size: side of the square that it sees, in pixels.
        resizing: how images get to that size.
        quantisation: what pixels are rounded to before.
        settings: numbers of the metric itself (splits, subsets, neighbours).
        real_images: how many real images.
        generated_images: how many generated ones.
        real_split: the part of the data that the real images are.
        caption_split: the part of the data that the captions are from.
        sample_seed: of the generated images.
        guidance: mode and scale, in words.
        sampler: name and steps, in words; None where a model has none.
        ema: whether the averaged weights were used.
        data: the data set's name.
        data_fingerprint: of its content.
        image_size: side of the generated images, in pixels.
        version: genzoo's.
        git: the revision; None outside a checkout.
    """

    metric: str
    extractor: str
    extractor_sha256: str
    input_size: int
    resizing: str
    quantisation: str
    settings: str
    real_images: int
    generated_images: int
    real_split: str
    caption_split: str
    sample_seed: int
    guidance: str
    sampler: str | None
    ema: bool
    data: str
    data_fingerprint: str
    image_size: int
    git: str | None
    version: str = genzoo.__version__

    def as_dict(self) -> dict[str, Plain]:
        """Flat and plain, as it stands in results.json."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The part of a stamp that all metrics of one evaluation share; see `Stamp`."""

    real_images: int
    generated_images: int
    real_split: str
    caption_split: str
    sample_seed: int
    guidance: str
    sampler: str | None
    ema: bool
    data: str
    data_fingerprint: str
    image_size: int
    git: str | None


def stamp(
    metric: str, *, extractor: FeatureExtractor, settings: MetricSettings, origin: Origin
) -> dict[str, Plain]:
    """The flat stamp of one metric of `genzoo.metrics.suite.evaluate`."""
    kind = metric.partition("/")[0]
    made = Stamp(
        metric=metric,
        extractor=extractor.name,
        extractor_sha256=extractor.sha256,
        input_size=extractor.input_size,
        resizing=extractor.resizing,
        quantisation=extractor.quantisation,
        settings=settings.of(
            KINDS.get(kind, kind), real=origin.real_images, fake=origin.generated_images
        ),
        **asdict(origin),
    )
    return made.as_dict()


def comparable(a: Mapping[str, Plain], b: Mapping[str, Plain]) -> list[str]:
    """The keys in which two stamps differ and that forbid ranking their numbers.

    Empty: they may be ranked. A key that only one of them has counts as a difference.
    """
    absent = object()
    keys = sorted((a.keys() | b.keys()) - REPORTED_ONLY)
    return [key for key in keys if a.get(key, absent) != b.get(key, absent)]
