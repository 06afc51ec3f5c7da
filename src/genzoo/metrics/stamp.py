"""What must be known about a number before it is ranked with another.

`KEYS` is the one list of what a stamp's keys mean and what follows where they differ;
docs/stamps.md shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import genzoo
from genzoo.core.conditions import NOTHING
from genzoo.metrics.revisions import FIRST, kind_of, revision_of
from genzoo.metrics.settings import MetricSettings

if TYPE_CHECKING:  # comparing runs needs stamps, and no torch
    from genzoo.metrics.features import FeatureExtractor

Plain = str | int | float | bool | None
Role = Literal["compared", "apart", "described"]


@dataclass(frozen=True)
class Key:
    """What a key of a stamp means.

    Attributes:
        role: ``compared``: where it differs, the metric's numbers are not ranked; ``apart``: the
            model whose number has it is shown and not ranked, and the others still are;
            ``described``: it is shown and forbids nothing.
        means: in words.
        instead: the key that is compared in its place where both stamps have that one.
    """

    role: Role
    means: str
    instead: str | None = None


KEYS: Mapping[str, Key] = {
    # The measurement.
    "metric": Key("compared", "the metric's name"),
    "revision": Key("compared", "of the metric's definition (`metrics/revisions.py`)"),
    "settings": Key(
        "compared", "the metric's own numbers: splits, subsets, neighbours, their seed"
    ),
    "extractor": Key("compared", "the network of the features"),
    "extractor_sha256": Key("compared", "of its weights: its published file, or its tensors"),
    "input_size": Key("compared", "pixels of a side that this network sees"),
    "resizing": Key("compared", "how images get to that size"),
    "quantisation": Key("compared", "what pixels are rounded to before"),
    "scorer_weights": Key("compared", "hash of the tensors of the CLIP that scores"),
    "clip": Key("compared", "the name of that CLIP", instead="scorer_weights"),
    "clip_sha256": Key("compared", "the hash of its file", instead="scorer_weights"),
    "clip_image_size": Key("compared", "pixels of a side that it sees"),
    "clip_tokens": Key("compared", "tokens of a caption that it reads"),
    "long_captions": Key("compared", "the share of captions that it could not read whole"),
    "judge": Key("compared", "the data whose rules check captions", instead="data_fingerprint"),
    "likelihood": Key("compared", "exact, or a bound"),
    "unit": Key("compared", "of the number"),
    # The images and captions.
    "data": Key("compared", "the data set's name", instead="data_fingerprint"),
    "data_fingerprint": Key("compared", "hash of its pixels, captions, labels and splits"),
    "image_size": Key("compared", "pixels of a side"),
    "real_images": Key("compared", "how many real images"),
    "real_split": Key("compared", "the split that they are from"),
    "real_indices": Key("compared", "hash of the very images that were chosen"),
    "real_sha256": Key("compared", "of the pixels of real images that are from no data set"),
    "calibration_images": Key(
        "compared", "how many held-out images say what a near-copy of a training image is"
    ),
    "generated_images": Key("compared", "how many samples"),
    "caption_split": Key("compared", "the split that the captions are from"),
    "captions": Key("compared", "hash of the very captions that were sampled for, in their order"),
    "reference_split": Key("compared", "of real images in the place of samples"),
    "reference_indices": Key("compared", "hash of the very images that were"),
    "split": Key("compared", "of the held-out images"),
    "images": Key("compared", "how many of them, spread evenly over the split"),
    "retrieved_captions": Key(
        "compared", "all captions of these images; absent where each has one"
    ),
    "precision": Key("compared", "of the numbers in which the model computed"),
    # What sets a number apart.
    "given": Key("apart", "what the model was given of a real image"),
    "scorer_kinship": Key("apart", "the scorer is a part of what it scores, or guided it"),
    # The model and the program.
    "scorer_trained_on": Key("described", "whether the scorer has seen these captions or images"),
    "generated_sha256": Key("described", "of the pixels that `genzoo.metrics.score` measured"),
    "training_seed": Key("described", "of the training; null where it is not known"),
    "sample_seed": Key("described", "of the noise of samples, or of a likelihood's estimate"),
    "seed": Key("described", "the same in older stamps"),
    "evaluation_seed": Key("described", "`metrics.seed`, which chose real images and captions"),
    "guidance": Key("described", "mode and scale"),
    "sampler": Key("described", "name and steps"),
    "images_resized": Key(
        "described", "how images of another program got to `image_size`; null where they had it"
    ),
    "dequantisation": Key("described", "how tight a bound is, not what it bounds"),
    "ema": Key("described", "whether averaged weights were used"),
    "version": Key("described", "of genzoo"),
    "git": Key("described", "the revision"),
}
# What held for every number before its stamp began to say so. `report.runs` completes what was
# `given` from a run's capabilities, which older results have as well.
ASSUMED: Mapping[str, Plain] = {
    "precision": "32-true",
    "revision": FIRST,
    "given": NOTHING,
    "scorer_kinship": None,
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The part of a stamp that all metrics of one evaluation share; `KEYS` says what they mean.

    Attributes:
        real_images: how many real images.
        real_split: the part of the data that the real images are.
        real_indices: a hash of their numbers.
        generated_images: how many generated ones.
        caption_split: the part of the data that the captions are from.
        captions: a hash of these captions; None where it is not known which they are.
        given: what the model was given of a real image.
        training_seed: of the model; None where it is not known.
        sample_seed: of the generated images.
        evaluation_seed: of the choice of real images and captions.
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
    real_split: str
    real_indices: str
    generated_images: int
    caption_split: str
    captions: str | None
    given: str
    training_seed: int | None
    sample_seed: int
    evaluation_seed: int
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
        **definition(metric),
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "input_size": extractor.input_size,
        "resizing": extractor.resizing,
        "quantisation": extractor.quantisation,
        "settings": settings.of(kind_of(metric), real=real, fake=fake),
    }


def definition(metric: str) -> dict[str, Plain]:
    """The part of a stamp that every metric has: its name and its definition's revision."""
    return {"metric": metric, "revision": revision_of(metric)}


def comparable(a: Mapping[str, Plain], b: Mapping[str, Plain]) -> list[str]:
    """The keys in which two stamps differ and that forbid ranking their numbers.

    Empty: they may be ranked. A key that only one of them has counts as a difference, unless it
    is known what held before there was such a key; one that `KEYS` does not know is compared.
    """
    return [
        key for key in sorted(a.keys() | b.keys()) if _counts(key, a, b) and _differs(key, a, b)
    ]


def set_apart(stamp: Mapping[str, Plain]) -> str | None:
    """Why a number is shown and not ranked with those of other models, in words, or None."""
    given, kinship = stamp.get("given") or NOTHING, stamp.get("scorer_kinship")
    reasons = [f"given {given}"] if given != NOTHING else []
    return "; ".join(reasons + ([str(kinship)] if kinship else [])) or None


def _counts(key: str, a: Mapping[str, Plain], b: Mapping[str, Plain]) -> bool:
    known = KEYS.get(key)
    if known is None:
        return True
    replaced = known.instead is not None and known.instead in a and known.instead in b
    return known.role != "described" and not replaced


def _differs(key: str, a: Mapping[str, Plain], b: Mapping[str, Plain]) -> bool:
    if key == "scorer_kinship":  # never ranked, not even with one that is kin in the same way
        return bool(a.get(key) or b.get(key))
    absent = object()
    default = dict[str, object](ASSUMED)
    return a.get(key, default.get(key, absent)) != b.get(key, default.get(key, absent))
