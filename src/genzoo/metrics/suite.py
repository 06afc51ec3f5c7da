"""All metrics of one extractor from one pass of features over the generated images."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from torchmetrics import Metric

from genzoo.core.errors import GenzooError
from genzoo.metrics.cmmd import cmmd
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.floor import frechet_floor, needed
from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.frechet_infinity import frechet_infinity, least_samples
from genzoo.metrics.inception_score import inception_score
from genzoo.metrics.interval import Z, known, share, wilson
from genzoo.metrics.jackknife import frechet_error, inception_score_error, kernel_error
from genzoo.metrics.kid import kernel_distance
from genzoo.metrics.memorisation import Calibration, CopySearch, Memorisation
from genzoo.metrics.prdc import CPU, neighbour_metrics
from genzoo.metrics.real import RealFeatures, subset
from genzoo.metrics.revisions import PUBLISHED, kind_of
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Plain
from genzoo.metrics.stats import FeatureStatistics, feature_statistics
from genzoo.metrics.vendi import vendi_score

DISTANCES = ("frechet_distance", "frechet_distance_infinity", "kernel_distance", "cmmd")
NEIGHBOURS = ("precision", "recall", "density", "coverage")


class MetricValue(NamedTuple):
    """A number with its spread and its interval.

    A tuple, because torchmetrics refuses frozen dataclasses.

    Attributes:
        value: the number.
        spread: standard deviation over splits or subsets; None where there are none.
        better: the direction in which a model improves.
        standard_error: of the number over samples; None where it is not known.
        interval: the ends of its 95 % interval over samples; None where it is not known.
        floor: what a perfect model scores about, because the images are few; None where they are
            enough, or where a metric has no such bias.
    """

    value: float
    spread: float | None
    better: Literal["lower", "higher"]
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    floor: float | None = None


def metric_name(kind: str, extractor: FeatureExtractor) -> str:
    """What a metric of this extractor may be called: ``fid`` or ``frechet_distance/...``."""
    names = PUBLISHED.get(extractor.name, {}) if extractor.published else {}
    return names.get(kind, f"{kind}/{extractor.name}")


def too_few(real: int, settings: MetricSettings) -> tuple[str, ...]:
    """The kinds of metrics that so few real images are not enough for."""
    distances = DISTANCES if real < 2 else ()
    wide = max(settings.neighbours, settings.density_neighbours)
    return distances + (NEIGHBOURS if real <= wide else ())


def too_few_samples(count: int, settings: MetricSettings) -> tuple[str, ...]:
    """The kinds of metrics that so few generated images are not enough for."""
    neighbours = NEIGHBOURS if count <= settings.neighbours else ()
    return neighbours + (("inception_score",) if count < settings.splits else ())


def evaluate(
    real: RealFeatures,
    fake: Features,
    *,
    extractor: FeatureExtractor,
    settings: MetricSettings,
    without: Collection[str] = (),
    device: torch.device = CPU,
    cache: Path | None = None,
    copies: CopySearch | None = None,
) -> dict[str, MetricValue]:
    """Every metric of the generated images, by name.

    Args:
        real: features of real images.
        fake: features of generated images, in the order of their indices.
        extractor: which took both.
        settings: the numbers that the metrics depend on.
        without: kinds that are left out, see `too_few` and `too_few_samples`.
        device: where distances are computed; it does not change the numbers.
        cache: the folder for what depends on the real images alone; None to keep nothing.
        copies: looks for near-copies of training images; None not to measure memorisation.

    Returns:
        The distances first; of these the kernel distance, which few images do not bias, where
        they are fewer than a Fréchet distance needs. No `frechet_distance_infinity` of fewer
        samples than `least_samples`.

    Raises:
        GenzooError: too few images for a metric; the message says how many it needs.
    """
    if len(fake) < 2:
        raise GenzooError(
            f"{len(fake)} generated images cannot be measured", "generate at least 2"
        )
    values: dict[str, MetricValue] = {}
    if not set(DISTANCES) & set(without):
        values |= _distances(real, fake.pooled, settings)
        if extractor.unit_length:
            values |= _cmmd(real, fake.pooled, device)
    if not set(NEIGHBOURS) & set(without):
        values |= _neighbours(real, fake.pooled, settings, device, cache, copies)
    if "vendi" not in without:
        diversity = vendi_score(fake.pooled)
        ends = known(*diversity, low=1.0, high=float(len(fake)))
        values["vendi"] = MetricValue(diversity.value, None, "higher", *ends)
    if copies is not None:
        found = copies.result(fake.pooled, device=device)
        values["memorised"] = MetricValue(found.share, None, "lower", *found.known)
    if "inception_score" not in without:
        values |= of_logits(fake.logits, settings)
    return {metric_name(kind, extractor): value for kind, value in values.items()}


def to_statistics(
    real: FeatureStatistics, fake: Tensor, *, seed: int, floor: float | None = None
) -> dict[str, MetricValue]:
    """Fréchet distances, by kind, of generated features to statistics of real ones.

    Args:
        real: which may be known without the images.
        fake: pooled features of generated images.
        seed: of the extrapolation.
        floor: what a perfect model scores about, where that is known.
    """
    distance = frechet_distance(real, feature_statistics(fake))
    error = known(distance, frechet_error(real, fake), low=0.0)
    measured = MetricValue(distance, None, "lower", *error)
    found = {"frechet_distance": measured._replace(floor=floor)}
    if len(fake) >= least_samples(fake.shape[1]):
        further = frechet_infinity(real, fake, seed=seed)
        found["frechet_distance_infinity"] = MetricValue(
            further.value, None, "lower", further.standard_error, (further.low, further.high)
        )
    return found


def of_logits(logits: Tensor | None, settings: MetricSettings) -> dict[str, MetricValue]:
    """What class scores of generated images give by themselves, by kind: the Inception Score."""
    if logits is None or not logits.shape[1]:
        return {}
    splits, seed = settings.splits, settings.seed
    score = inception_score(logits, splits=splits, seed=seed)
    error = inception_score_error(logits, splits=splits, seed=seed)
    interval = known(score[0], error, low=1.0, high=float(logits.shape[1]))
    return {"inception_score": MetricValue(*score, "higher", *interval)}


def _distances(
    real: RealFeatures, fake: Tensor, settings: MetricSettings
) -> dict[str, MetricValue]:
    few = min(len(real), len(fake)) < needed(fake.shape[1])
    floor = frechet_floor(real.pooled, samples=len(fake), seed=settings.seed) if few else None
    found = to_statistics(real.statistics, fake, seed=settings.seed, floor=floor)
    kernel = kernel_distance(
        real.pooled,
        fake,
        subsets=settings.subsets,
        subset_size=settings.effective_subset(len(real), len(fake)),
        seed=settings.seed,
    )
    by_chance = kernel_error(real.pooled, fake, spread=kernel[1], subsets=settings.subsets)
    unbiased = {"kernel_distance": MetricValue(*kernel, "lower", *known(kernel[0], by_chance))}
    return unbiased | found if few else found | unbiased


def _cmmd(real: RealFeatures, fake: Tensor, device: torch.device) -> dict[str, MetricValue]:
    found = cmmd(real.pooled, fake, device=device)
    half = Z * found.standard_error
    ends = (found.value - half, found.value + half)
    return {"cmmd": MetricValue(found.value, None, "lower", found.standard_error, ends)}


def _neighbours(
    real: RealFeatures,
    fake: Tensor,
    settings: MetricSettings,
    device: torch.device,
    cache: Path | None,
    copies: CopySearch | None,
) -> dict[str, MetricValue]:
    chosen = subset(torch.arange(len(real)), settings.neighbour_images, seed=settings.seed)
    some = fake[: settings.neighbour_images]
    whole = len(chosen) == len(real) and len(some) == len(fake)
    shares = copies is not None and copies.training is real and whole
    found = neighbour_metrics(
        real.pooled if len(chosen) == len(real) else real.pooled[chosen],
        some,
        neighbours=settings.neighbours,
        density_neighbours=settings.density_neighbours,
        device=device,
        cache=cache,
        also=copies if shares else None,
    )
    precise = wilson(round(found.precision * len(some)), len(some))
    recall = share(found.recall, found.recall_error, asked=len(some))
    density = share(found.density, found.density_error, asked=len(some), high=math.inf)
    coverage = share(found.coverage, found.coverage_error, asked=len(some))
    return {
        "precision": MetricValue(found.precision, None, "higher", *precise),
        "recall": MetricValue(found.recall, None, "higher", *recall),
        "density": MetricValue(found.density, None, "higher", *density),
        "coverage": MetricValue(found.coverage, None, "higher", *coverage),
    }


class FeatureMetrics(Metric):
    """`evaluate` as a torchmetrics metric: features of several ranks, gathered once.

    After gathering the features are put in the order of their images' indices, and an image
    that came twice (a padding sampler does that) counts once. So two ranks give exactly one
    rank's numbers.

    Args:
        real: features of the real images.
        extractor: which takes the features.
        settings: the numbers that the metrics depend on.
        without: kinds that are left out, see `too_few`.
        cache: the folder for what depends on the real images alone; None to keep nothing.
        calibration: of memorisation; None not to measure it.
        **kwargs: torchmetrics' own, such as `dist_sync_fn`.

    Attributes:
        generated: the features that were computed with, of all ranks; None before.
        memorisation: what `compute` has found, where it was measured.
    """

    full_state_update = False
    pooled: list[Tensor]
    logits: list[Tensor]
    index: list[Tensor]

    def __init__(
        self,
        *,
        real: RealFeatures,
        extractor: FeatureExtractor,
        settings: MetricSettings,
        without: Collection[str] = (),
        cache: Path | None = None,
        calibration: Calibration | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.real, self.extractor, self.settings = real, extractor, settings
        self.without, self.cache = tuple(without), cache
        self.generated: Features | None = None
        self.calibration = calibration
        self.memorisation: Memorisation | None = None
        for name in ("pooled", "logits", "index"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, features: Features, index: Int[Tensor, " b"]) -> None:
        """Add the features of the images numbered `index`.

        A rank that has no images at all must still call this once, with none.
        """
        if len(features) != len(index):
            raise ValueError(f"{len(features)} features came with {len(index)} indices")
        logits = features.logits
        if logits is None:
            logits = features.pooled.new_empty(len(features), 0)
        self.pooled.append(features.pooled.detach())
        self.logits.append(logits.detach())
        self.index.append(index.detach().to(features.pooled.device).long())

    def about(self, name: str) -> dict[str, Plain]:
        """What a metric's stamp says otherwise than those of the other metrics."""
        if self.calibration is None or kind_of(name) != "memorised":
            return {}
        return self.calibration.about

    def compute(self) -> dict[str, MetricValue]:
        """The metrics of all images so far, over all ranks.

        Raises:
            GenzooError: too few images for a metric.
        """
        if not len(_joined(self.index)):
            raise GenzooError("no generated images came to be measured", "generate at least 2")
        pooled, logits = (in_order(state, self.index) for state in (self.pooled, self.logits))
        self.generated = Features(pooled.cpu(), logits.cpu())
        copies = None if self.calibration is None else CopySearch(self.calibration)
        values = evaluate(
            self.real,
            self.generated,
            extractor=self.extractor,
            settings=self.settings,
            without=self.without,
            device=pooled.device,
            cache=self.cache,
            copies=copies,
        )
        self.memorisation = None if copies is None else copies.found
        return values


def in_order(state: list[Tensor] | Tensor, index: list[Tensor] | Tensor) -> Tensor:
    """The rows of all batches and ranks in the order of their images' indices, each once."""
    return _joined(state)[_first_of_each(_joined(index))]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    # A list of batches before torchmetrics has gathered, one tensor afterwards.
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.empty(0)


def _first_of_each(index: Int[Tensor, " n"]) -> Int[Tensor, " m"]:
    """Rows in the order of their index, the first row of each."""
    order = index.argsort(stable=True)
    ordered = index[order]
    keep = torch.ones_like(ordered, dtype=torch.bool)
    keep[1:] = ordered[1:] != ordered[:-1]
    return order[keep]
