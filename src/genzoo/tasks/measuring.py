"""What task=evaluate measures on samples: features, captions, how well both go together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.api.drawing import sample_images
from genzoo.core.conditions import NOTHING
from genzoo.core.digest import of_items
from genzoo.core.noise import split_seed
from genzoo.data.dataset import TextImageData
from genzoo.machine import distributed, provenance
from genzoo.machine.console import Progress
from genzoo.metrics.captions import CaptionAccuracy
from genzoo.metrics.clip_score import CLIPScore
from genzoo.metrics.domain import domain_file, train_domain_classifier
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.files import default_cache
from genzoo.metrics.kinship import TrainedOn, familiarity, kinship
from genzoo.metrics.real import subset
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Origin, definition, stamp
from genzoo.metrics.suite import FeatureMetrics, too_few
from genzoo.models.base import GenerativeModel
from genzoo.run import build, devices, scorers
from genzoo.tasks.calibrating import calibration
from genzoo.tasks.extractors import configured_extractor
from genzoo.tasks.pictures import condition_of
from genzoo.tasks.real_images import features_of, first
from genzoo.text.tokenizer import Tokenizer

Entry = dict[str, Any]  # value, spread, better, stamp


def metric_settings(cfg: DictConfig) -> MetricSettings:
    """The part of the configuration that metrics are computed with."""
    return MetricSettings(
        **{field.name: cfg.metrics[field.name] for field in fields(MetricSettings)}
    )


def feature_metrics(
    cfg: DictConfig, data: TextImageData, device: torch.device
) -> list[FeatureMetrics]:
    """One measure an extractor, to be updated with samples; it has the real images' features."""
    settings = metric_settings(cfg)
    indices = real_indices(cfg, data)
    measures = []
    for name in cfg.metrics.extractors:
        weights = cfg.metrics.weights[name]
        if name == "domain" and weights is None:
            weights = first(lambda: _domain_classifier(cfg, data))
        extractor = configured_extractor(cfg, name, weights=weights, device=device)

        real = features_of(data, extractor, split=cfg.metrics.real_split, indices=indices)
        measures.append(
            FeatureMetrics(
                real=real,
                extractor=extractor,
                settings=settings,
                without=too_few(len(real), settings),
                cache=default_cache(),
                calibration=calibration(cfg, data, extractor, real, device),
            )
        )
    return measures


@dataclass(frozen=True)
class Subject:
    """What is measured, as far as stamps speak of it.

    Attributes:
        given: what it is given of a real image for each sample.
        training_seed: None where it is not known.
        model: whose networks a scorer may be part of; None if it has none that are known.
        guidance: of its samples.
    """

    given: str = NOTHING
    training_seed: int | None = None
    model: object = None
    guidance: object = None


STRANGER = Subject()  # of another program


@dataclass(frozen=True)
class Measures:
    """What is updated with samples.

    Attributes:
        features: one an extractor.
        captions: if the data has a ground truth, or None.
        score: where one is asked for, or None.
    """

    features: Sequence[FeatureMetrics]
    captions: CaptionAccuracy | None
    score: CLIPScore | None

    def update(
        self, data: TextImageData, images: Tensor, numbers: list[int], order: Sequence[int]
    ) -> None:
        """Add 8-bit samples: the i-th of all is for the i-th caption of `order`."""
        index = torch.tensor(numbers, dtype=torch.long)
        own, others = (shown(data, order, [i + k for i in numbers]) for k in (0, 1))
        for measure in self.features:
            measure.update(measure.extractor(images), index)
        if self.captions is not None:
            self.captions.update(
                images, data.caption_attributes(own), data.caption_attributes(others)
            )
        if self.score is not None:
            self.score.update(images, data.texts_of(own), index)


def measure_samples(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    measures: Measures,
    *,
    device: torch.device,
    guidance: Any,
    pause: Callable[[], None] = lambda: None,
    keep: Callable[[Sequence[int], Tensor], None] = lambda numbers, images: None,
    order: Sequence[int] | None = None,
) -> float:
    """Sample this rank's images and update the measures with them.

    Args:
        cfg: the prepared configuration.
        model: on `device`.
        data: with the captions.
        tokenizer: of these captions.
        measures: to update.
        device: of the model.
        guidance: as for `GenerativeModel.sample`.
        pause: called between batches.
        keep: called with the numbers and the 8-bit images of each batch.
        order: items whose captions are sampled, in turn; None for `caption_order`.

    Returns:
        The seconds that sampling one image took.
    """
    order = caption_order(cfg, data) if order is None else order
    mine = range(distributed.rank(), cfg.metrics.images, distributed.world())
    times: list[tuple[float, int]] = []
    with Progress(f"{cfg.model.name}: drawing and measuring", len(mine)) as progress:
        for start in range(0, len(mine), cfg.metrics.batch):
            pause()
            numbers = list(mine[start : start + cfg.metrics.batch])
            cond = condition_of(model, data, shown(data, order, numbers), tokenizer)
            begin = time.perf_counter()
            with devices.precision(cfg)():
                images = sample_images(
                    model,
                    cond,
                    data.shape,
                    seed=cfg.seed,
                    indices=numbers,
                    device=device,
                    guidance=guidance,
                )
            times.append((time.perf_counter() - begin, len(numbers)))
            measures.update(data, images, numbers, order)
            keep(numbers, images)
            progress.at(start + len(numbers))
    if not len(mine):  # gathering from all ranks wants an update on each
        measures.update(data, torch.empty(0, *data.shape, dtype=torch.uint8), [], order)
    timed = times[1:] or times  # the first batch includes the choice of kernels
    return sum(seconds for seconds, _ in timed) / max(sum(count for _, count in timed), 1)


def caption_order(cfg: DictConfig, data: TextImageData) -> list[int]:
    """A fixed shuffle of the images with captions: a few samples cover the whole split."""
    split = torch.as_tensor(data.split(cfg.metrics.caption_split))
    generator = torch.Generator().manual_seed(split_seed(cfg.metrics.seed, "captions"))
    order: list[int] = split[torch.randperm(len(split), generator=generator)].tolist()
    return order


def shown(data: TextImageData, order: Sequence[int], numbers: Iterable[int]) -> list[int]:
    """Which caption each sample is for, as `TextImageData.captioned` numbers it.

    The first captions of all images in `order`, then their second ones, and so on: of n images,
    sample i is for caption i // n of image i % n, counted round.
    """
    numbers = list(numbers)
    images = [order[i % len(order)] for i in numbers]
    captions: list[int] = data.captioned(images, [i // len(order) for i in numbers]).tolist()
    return captions


def feature_entries(
    cfg: DictConfig,
    data: TextImageData,
    measures: Iterable[FeatureMetrics],
    subject: Subject = STRANGER,
) -> dict[str, Entry]:
    """The values of the measures, each with its stamp."""
    entries: dict[str, Entry] = {}
    about = origin(cfg, data, subject)
    for measure in measures:
        network = about_network(measure.extractor, about, subject)
        for name, value in measure.compute().items():
            own = stamp(
                name, extractor=measure.extractor, settings=metric_settings(cfg), origin=about
            )
            own |= network
            own |= measure.about(name)
            entries[name] = {**value._asdict(), "stamp": own}
    return entries


def about_network(extractor: FeatureExtractor, about: Origin, subject: Subject) -> dict[str, str]:
    """What the network of features has to do with what is measured, if it has; for stamps."""
    kin = kinship(extractor, model=subject.model, guidance=subject.guidance)
    seen = getattr(extractor, "trained_on", None)
    trained = familiarity(
        None if seen is None else TrainedOn("not named", seen),
        name=about.data,
        fingerprint=about.data_fingerprint,
        caption_split=about.caption_split,
    )
    found = {"scorer_kinship": kin, "scorer_trained_on": trained}
    return {key: words for key, words in found.items() if words is not None}


def caption_entries(
    cfg: DictConfig, data: TextImageData, captions: CaptionAccuracy, subject: Subject
) -> dict[str, Entry]:
    """Caption accuracy of samples, each value with its stamp."""
    about = {"judge": data.name, **without_features(origin(cfg, data, subject))}
    return {
        name: {**value._asdict(), "stamp": {**definition(name), **about}}
        for name, value in captions.compute().items()
    }


def without_features(about: Origin) -> dict[str, Any]:
    """A stamp's origin, for metrics that compare samples with captions."""
    return {**asdict(about), "version": provenance.software()["version"]}


def origin(cfg: DictConfig, data: TextImageData, subject: Subject) -> Origin:
    """What the numbers of this configuration were made from."""
    sampler = build.build_sampler(cfg)
    real = real_indices(cfg, data)
    captions = shown(data, caption_order(cfg, data), range(cfg.metrics.images))
    return Origin(
        real_images=len(real),
        real_split=cfg.metrics.real_split,
        real_indices=of_items(real.tolist()),
        generated_images=cfg.metrics.images,
        caption_split=cfg.metrics.caption_split,
        captions=of_items(captions, data.texts_of(captions)),
        given=subject.given,
        training_seed=subject.training_seed,
        sample_seed=cfg.seed,
        evaluation_seed=cfg.metrics.seed,
        guidance=scorers.guidance_words(cfg),
        sampler=None if sampler is None else str(sampler),
        precision=devices.stated_precision(cfg),
        ema=True,
        data=data.name,
        data_fingerprint=data.fingerprint,
        image_size=data.shape[-1],
        git=provenance.git_revision(),
    )


def _domain_classifier(cfg: DictConfig, data: TextImageData) -> Path:
    """The classifier of this data's labels, trained on first use."""
    file = domain_file(data.fingerprint, cfg.metrics.seed)
    if file.exists():
        return file
    indices = data.split("train")
    with Progress("training the domain classifier, steps", None) as progress:
        return train_domain_classifier(
            data.images(indices),
            torch.as_tensor(data.labels[indices]),
            seed=cfg.metrics.seed,
            fingerprint=data.fingerprint,
            command=cfg.run.command,
            progress=lambda step, steps, loss: progress.at(step, note=f"of {steps}, {loss:.3f}"),
        )


def real_indices(cfg: DictConfig, data: TextImageData) -> Tensor:
    """Which real images samples are compared with, ascending."""
    indices = torch.as_tensor(data.split(cfg.metrics.real_split))
    return subset(indices, cfg.metrics.real_images, seed=cfg.metrics.seed)
