"""What real images score: the floor and the ceiling of each metric, measured like samples.

Held-out images are what a perfect model gives, training images again what one gives that learned
them by heart; with captions, real images are scored with their own and with those of others. None
of it depends on the model, so that it is the same for all runs of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.errors import GenzooError
from genzoo.data.dataset import TextImageData
from genzoo.machine.console import status
from genzoo.metrics.features import Features
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import kept_features
from genzoo.metrics.stamp import measurement
from genzoo.metrics.suite import NEIGHBOURS, FeatureMetrics, evaluate, too_few
from genzoo.tasks.measuring import Entry, Measures, metric_settings, real_indices
from genzoo.tasks.real_images import real_batches
from genzoo.tasks.reference_captions import with_captions
from genzoo.tasks.reference_images import Chosen, about, captioned, held_out, training

HELD_OUT, AGAIN = "real_held_out", "training_again"
OWN_CAPTIONS, SHUFFLED_CAPTIONS = "real_captions", "shuffled_captions"
LABELS = {
    HELD_OUT: "real, held out",
    AGAIN: "training images again",
    OWN_CAPTIONS: "real images, own captions",
    SHUFFLED_CAPTIONS: "real images, shuffled captions",
}
LEAST = 2  # images that anything can be said of


def references(
    cfg: DictConfig,
    data: TextImageData,
    measures: Measures,
    image_text: ImageTextModel | None,
) -> dict[str, dict[str, Any]]:
    """The reference rows as results.json has them: label, number of images, split and metrics.

    A row that there are too few images for is left out, and named.

    Args:
        cfg: the prepared configuration.
        data: that is measured on.
        measures: of the samples; they are not changed.
        image_text: what scores samples, if anything does.
    """
    rows: dict[str, tuple[Chosen, Callable[[Chosen], dict[str, Entry]]]] = {}
    if measures.features:
        rows[HELD_OUT] = held_out(cfg, data), partial(_features, cfg, data, measures.features)
        rows[AGAIN] = training(cfg, data), partial(_again, cfg, data, measures.features)
    if measures.captions is not None or image_text is not None:
        pairs = captioned(cfg, data)
        for name, shift in ((OWN_CAPTIONS, 0), (SHUFFLED_CAPTIONS, 1)):
            said = partial(with_captions, cfg, data, image_text=image_text, shift=shift)
            rows[name] = pairs, said
    found = {}
    for name, (chosen, measure) in rows.items():
        metrics = _measured(LABELS[name], chosen, measure)
        if metrics:
            found[name] = {
                "label": LABELS[name],
                "images": len(chosen.indices),
                "split": chosen.split,
                "metrics": metrics,
            }
    return found


def closeness(
    cfg: DictConfig,
    measures: Iterable[FeatureMetrics],
    entries: Mapping[str, Entry],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, float]]:
    """By metric, the samples' distance beside that of as many held-out images.

    A distance of fewer images is larger, whoever made them; so where there are fewer held-out
    images than samples, only as many samples are counted.

    Args:
        cfg: the prepared configuration.
        measures: of the samples, computed.
        entries: their values.
        rows: of `references`.
    """
    row = rows.get(HELD_OUT)
    if row is None:
        return {}
    count, real = row["images"], row["metrics"]
    found = {}
    for measure in measures:
        for name, value in _distances(measure, count).items():
            own = entries[name]["value"] if count == cfg.metrics.images else value
            if name in real:
                found[name] = {"images": count, "value": own, HELD_OUT: real[name]["value"]}
    return found


def _distances(measure: FeatureMetrics, count: int) -> dict[str, float]:
    """Of the first `count` samples, whose captions are a random choice."""
    if measure.generated is None:
        return {}
    found = evaluate(
        measure.real,
        Features(measure.generated.pooled[:count], None),
        extractor=measure.extractor,
        settings=measure.settings,
        without=(*measure.without, *NEIGHBOURS),
    )
    return {name: value.value for name, value in found.items() if value.better == "lower"}


def _measured(
    label: str, chosen: Chosen, measure: Callable[[Chosen], dict[str, Entry]]
) -> dict[str, Entry]:
    if len(chosen.indices) < LEAST:
        status(f"  not measured for comparison: {label} ({len(chosen.indices)} images)")
        return {}
    try:
        return measure(chosen)
    except GenzooError as error:
        status(f"  not measured for comparison: {label} ({error})")
        return {}


def _features(
    cfg: DictConfig, data: TextImageData, measures: Sequence[FeatureMetrics], chosen: Chosen
) -> dict[str, Entry]:
    def taken(measure: FeatureMetrics) -> Features:
        return kept_features(
            real_batches(data, chosen.indices, f"{measure.extractor.name} of more real images"),
            measure.extractor,
            cache=default_cache(),
            fingerprint=data.fingerprint,
            indices=chosen.indices,
        )

    return _entries(cfg, data, measures, chosen, taken)


def _again(
    cfg: DictConfig, data: TextImageData, measures: Sequence[FeatureMetrics], chosen: Chosen
) -> dict[str, Entry]:
    """Of training images, whose features are known where they are compared with."""
    if cfg.metrics.real_split != "train":
        return _features(cfg, data, measures, chosen)
    rows = torch.searchsorted(real_indices(cfg, data), chosen.indices)
    return _entries(
        cfg, data, measures, chosen, lambda measure: Features(measure.real.pooled[rows], None)
    )


def _entries(
    cfg: DictConfig,
    data: TextImageData,
    measures: Sequence[FeatureMetrics],
    chosen: Chosen,
    taken: Callable[[FeatureMetrics], Features],
) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    count, settings = len(chosen.indices), metric_settings(cfg)
    for measure in measures:
        features = taken(measure)
        if count < settings.splits:
            features = Features(features.pooled, None)
        own = FeatureMetrics(
            real=measure.real,
            extractor=measure.extractor,
            settings=settings,
            without={*measure.without, *too_few(count, settings)},
            cache=measure.cache,
            calibration=measure.calibration,
            sync_on_compute=False,  # the first process alone measures real images
        )
        own.update(features, torch.arange(count))
        common = {
            "real_images": len(measure.real),
            "real_split": measure.real.split,
            "real_indices": measure.real.indices,
            **about(cfg, data, chosen),
        }
        for name, value in own.compute().items():
            how = measurement(
                name,
                extractor=measure.extractor,
                settings=settings,
                real=len(measure.real),
                fake=count,
            )
            entries[name] = {**value._asdict(), "stamp": {**how, **common, **measure.about(name)}}
    return entries
