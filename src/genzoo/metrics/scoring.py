"""`genzoo.metrics.score`: the metrics of any images against any others."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor

import genzoo
from genzoo.config.paths import config_dir
from genzoo.core.arguments import whole
from genzoo.core.device import chosen_device
from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.dataset import TextImageData
from genzoo.data.input_images import Pictures, channels_first, each, open_picture
from genzoo.machine.console import silence
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import RealFeatures, extract, real_features, subset
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Plain, measurement
from genzoo.metrics.suite import DISTANCES, NEIGHBOURS, MetricValue, evaluate, too_few

BATCH = 64  # images at once; does not change the numbers


@dataclass(frozen=True)
class Score:
    """A number with what has to be known before it is compared with another.

    Attributes:
        value: the number.
        spread: standard deviation over splits or subsets; None where there are none.
        better: the direction in which images improve.
        standard_error: of the number over the images; None where it is not known.
        interval: the ends of its 95 % interval over the images; None where it is not known.
        floor: what a perfect model scores about, because the images are few; None otherwise.
        stamp: what the number depends on: network, preprocessing, settings, and which images were
            compared with which. Equal stamps mean the same measurement; `generated_sha256` is of
            the pixels that were measured, `real_sha256` or `data_fingerprint` of the others.
    """

    value: float
    spread: float | None
    better: Literal["lower", "higher"]
    standard_error: float | None
    interval: tuple[float, float] | None
    floor: float | None
    stamp: Mapping[str, Plain]


@dataclass
class Given:
    """Images of any origin as batches, and what stamps say of them once they were read.

    Attributes:
        images: as `score` takes them.
        sizes: heights and widths that there are.
    """

    images: Pictures
    sizes: set[tuple[int, int]] = field(default_factory=set)
    _digest: Any = field(default_factory=hashlib.sha256)

    def __iter__(self) -> Iterator[Tensor]:
        """8-bit batches; images of another size than the one before begin a new one."""
        batch: list[Tensor] = []
        for image in each(self.images):
            pixels = channels_first(open_picture(image))
            self._note(pixels)
            if batch and (len(batch) == BATCH or batch[0].shape != pixels.shape):
                yield torch.stack(batch)
                batch = []
            batch.append(pixels)
        if batch:
            yield torch.stack(batch)

    def _note(self, pixels: Tensor) -> None:
        height, width = pixels.shape[1:]
        self.sizes.add((height, width))
        self._digest.update(f"{height} {width} ".encode())
        self._digest.update(pixels.numpy().tobytes())

    @property
    def sha256(self) -> str:
        """Of all pixels in their order, in hexadecimal."""
        return str(self._digest.hexdigest())

    @property
    def size(self) -> int | str:
        """Pixels of a side where all are squares of one size; else in words."""
        if len(self.sizes) > 1:
            return "several sizes"
        ((height, width),) = self.sizes or {(0, 0)}
        return height if height == width else f"{height} x {width}"


def score(
    images: Pictures,
    *,
    against: Pictures | TextImageData,
    features: str = "efficientnet_lite0",
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    split: str | None = None,
    real_images: object = None,
    **settings: object,
) -> dict[str, Score]:
    """Fréchet and kernel distance, precision, recall, density, coverage and the Inception Score.

    What so few images cannot be measured by is left out, with a warning.

    Args:
        images: a list of files, PIL images, arrays or tensors, an array (n, h, w, 3), a tensor
            (n, 3, h, w), or a folder. Pixels are uint8; `genzoo.data.to_uint8` converts floats.
        against: real images: the same, or a data set of `genzoo.data.open`, whose features are
            kept in the cache.
        features: `efficientnet_lite0`, `inception` or `domain`, see `build_extractor`.
        weights: of that network; None for its own place.
        device: where the network computes, as for `genzoo.load`.
        split: of a data set; None: the one that commands measure against.
        real_images: how many images of the split, a whole number, chosen as
            `metrics.real_images=` does; None for all.
        **settings: whole numbers, as in configs/metrics/default.yaml: `splits`, `subsets`,
            `subset_size`, `neighbours`, `density_neighbours`, `neighbour_images` and `seed`.

    Returns:
        The numbers by the names that `results.json` has.

    Raises:
        UsageError: for unknown settings or features, or what is no image.
        GenzooError: for too few images to measure anything by.

    Examples:
        >>> genzoo.metrics.score(samples, against="photos")["frechet_distance/efficientnet_lite0"]
    """
    numbers = _settings(settings)
    extractor = build_extractor(features, weights=weights, device=chosen_device(device))
    with silence():
        real, origin = _real(against, extractor, split=split, count=real_images, seed=numbers.seed)
    given = Given(images)
    fake = extract(given, extractor)
    origin |= {
        "generated_images": len(fake),
        "generated_sha256": given.sha256,
        "image_size": given.size,
        "version": genzoo.__version__,
    }
    return {
        name: Score(
            **value._asdict(),
            stamp={
                **measurement(
                    name, extractor=extractor, settings=numbers, real=len(real), fake=len(fake)
                ),
                **origin,
            },
        )
        for name, value in _measured(real, fake, extractor, numbers).items()
    }


def _measured(
    real: RealFeatures, fake: Features, extractor: FeatureExtractor, settings: MetricSettings
) -> dict[str, MetricValue]:
    """All metrics that there are enough images for; a warning says which there are not."""
    without = set(too_few(len(real), settings))
    if 2 <= len(fake) <= settings.neighbours:
        without |= set(NEIGHBOURS)
    left = [kind for kind in (*DISTANCES, *NEIGHBOURS) if kind in without]
    scored = fake.logits is not None and fake.logits.shape[1] > 0
    if scored and 2 <= len(fake) < settings.splits:
        fake = Features(fake.pooled, None)
        left.append("inception_score")
    found = evaluate(real, fake, extractor=extractor, settings=settings, without=without)
    if not found:
        raise GenzooError(
            f"{len(fake)} images against {len(real)} are too few for any metric", "give more"
        )
    if left:
        warnings.warn(
            f"{', '.join(left)} left out: {len(fake)} images against {len(real)} are too few; "
            f"give more, or fewer splits= ({settings.splits}) or neighbours= "
            f"({settings.neighbours}) and density_neighbours= ({settings.density_neighbours})",
            stacklevel=3,
        )
    return found


def _settings(given: Mapping[str, object]) -> MetricSettings:
    least = {"seed": 0, "subset_size": 2}
    names = [field.name for field in fields(MetricSettings)]
    for name in given:
        if name not in names:
            raise UsageError(f"metrics have no setting {name}", f"there are: {', '.join(names)}")
    found = {name: _defaults()[name] for name in names}
    for name, value in given.items():
        absent = value is None and found[name] is None  # None for all, where the default is that
        found[name] = None if absent else whole(value, name=name, least=least.get(name, 1))
    return MetricSettings(**found)


def _defaults() -> Mapping[str, Any]:
    """What commands measure by."""
    file = config_dir() / "metrics" / "default.yaml"
    section: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return section


def _real(
    against: Pictures | TextImageData,
    extractor: FeatureExtractor,
    *,
    split: str | None,
    count: object,
    seed: int,
) -> tuple[RealFeatures, dict[str, Plain]]:
    """The features of the real images, and what stamps say of these."""
    if not isinstance(against, TextImageData):
        for name, value in (("split", split), ("real_images", count)):
            if value is not None:
                raise UsageError(
                    f"{name}= chooses images of a data set, and against= is none",
                    f"leave {name}= away, or give genzoo.data.open(...) as against=",
                )
        given = Given(against)
        real = RealFeatures(extract(given, extractor).pooled, "given", "given")
        return real, {"real_images": len(real), "real_sha256": given.sha256}
    split = _defaults()["real_split"] if split is None else split
    most = None if count is None else whole(count, name="real_images", least=1)
    rows = subset(torch.as_tensor(against.split(split)), most, seed=seed)
    real = real_features(
        (against.images(part.tolist()) for part in rows.split(BATCH)),
        extractor,
        cache=default_cache(),
        fingerprint=against.fingerprint,
        split=split,
        indices=rows,
    )
    return real, {
        "real_images": len(real),
        "real_split": split,
        "real_indices": real.indices,
        "evaluation_seed": seed,
        "data": against.name,
        "data_fingerprint": against.fingerprint,
    }
