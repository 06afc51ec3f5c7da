"""Intervals over samples: the jackknife by hand, and standard errors against what samples do."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats

from genzoo.metrics import interval, jackknife
from genzoo.metrics.features import Features
from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.inception_score import inception_score
from genzoo.metrics.jackknife import frechet_error, inception_score_error, kernel_error
from genzoo.metrics.kid import kernel_distance
from genzoo.metrics.prdc import NeighbourMetrics, neighbour_metrics
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stats import feature_statistics
from genzoo.metrics.suite import evaluate
from tests.unit.test_metrics_suite import extractor

SEED = 2020


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def left_out(x: torch.Tensor, number: Callable[[torch.Tensor], float]) -> float:
    """The plain jackknife: the number without each row, one after the other."""
    values = [number(torch.cat([x[:i], x[i + 1 :]])) for i in range(len(x))]
    return jackknife.jackknife_error(torch.tensor(values, dtype=torch.float64), len(x))


@pytest.mark.parametrize("real", [8, 30, 300])
@pytest.mark.parametrize(("n", "d"), [(12, 5), (12, 12), (13, 12), (10, 20)])
def test_the_frechet_distances_jackknife_in_one_go(real: int, n: int, d: int) -> None:
    scale = torch.logspace(0, -3, d).double()
    reference = feature_statistics(normal(real, d, 0).double() * scale)
    fake = 1.3 * normal(n, d, 1).double() * scale + 0.2

    def distance(x: torch.Tensor) -> float:
        return frechet_distance(reference, feature_statistics(x))

    assert frechet_error(reference, fake) == pytest.approx(left_out(fake, distance), rel=1e-4)


def test_the_inception_scores_jackknife_in_one_go() -> None:
    logits = 3 * normal(12, 5, 0)
    expected = left_out(logits, lambda x: inception_score(x, splits=1, seed=SEED)[0])
    assert inception_score_error(logits, splits=1, seed=SEED) == pytest.approx(expected, rel=1e-9)


def ratio(draws: int, measure: Callable[[int], tuple[float, float]]) -> float:
    """The mean standard error over the standard deviation of the number over samples."""
    values, errors = torch.tensor([measure(k) for k in range(draws)], dtype=torch.float64).T
    return float(errors.mean() / values.std())


@pytest.mark.parametrize(("n", "shift"), [(1000, 0.0), (1000, 0.3), (64, 0.3), (40, 0.3)])
def test_frechet_distances_of_other_samples_vary_as_it_says(n: int, shift: float) -> None:
    reference = feature_statistics(normal(5000, 64, 10**6))

    def measure(seed: int) -> tuple[float, float]:
        fake = normal(n, 64, seed) * (1 + shift) + shift
        return (
            frechet_distance(reference, feature_statistics(fake)),
            frechet_error(reference, fake),
        )

    assert 0.85 < ratio(60, measure) < 1.6


def test_kernel_distances_of_other_samples_vary_as_it_says_and_not_as_their_subsets() -> None:
    real = normal(200, 16, 10**6)

    def measure(seed: int) -> tuple[float, float, float]:
        fake = normal(100, 16, seed) + 0.05
        value, spread = kernel_distance(real, fake, subsets=20, subset_size=50, seed=SEED)
        return value, kernel_error(real, fake, spread=spread, subsets=20), spread

    found = [measure(seed) for seed in range(80)]
    assert 0.85 < ratio(80, lambda k: found[k][:2]) < 1.6
    # What was printed before: the spread over overlapping subsets.
    assert ratio(80, lambda k: (found[k][0], found[k][2])) > 1.8


def test_many_samples_ask_some_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normal(300, 16, 0), normal(200, 16, 1) + 0.3
    reference = feature_statistics(real)
    whole = kernel_error(real, fake, spread=0.0, subsets=1), frechet_error(reference, fake)
    monkeypatch.setattr(jackknife, "PARTNERS", 120)
    monkeypatch.setattr(jackknife, "ROWS", 150)
    some = kernel_error(real, fake, spread=0.0, subsets=1), frechet_error(reference, fake)
    assert some == pytest.approx(whole, rel=0.2)


@pytest.mark.parametrize("splits", [1, 5])
def test_inception_scores_of_other_samples_vary_as_it_says(splits: int) -> None:
    def measure(seed: int) -> tuple[float, float]:
        logits = 3 * normal(200, 10, seed)
        value, _ = inception_score(logits, splits=splits, seed=SEED)
        return value, inception_score_error(logits, splits=splits, seed=SEED)

    assert 0.85 < ratio(80, measure) < 1.3


@pytest.fixture(scope="module")
def neighbours() -> list[NeighbourMetrics]:
    real = normal(300, 8, 10**6)
    return [
        neighbour_metrics(real, 0.9 * normal(150, 8, k) + 0.3, neighbours=3, density_neighbours=5)
        for k in range(250)
    ]


@pytest.mark.parametrize(
    ("name", "most"), [("precision", 1.3), ("recall", 1.6), ("density", 1.3), ("coverage", 1.8)]
)
def test_neighbours_of_other_samples_vary_as_it_says(
    neighbours: list[NeighbourMetrics], name: str, most: float
) -> None:
    def measure(k: int) -> tuple[float, float]:
        found = neighbours[k]
        if name == "precision":
            return found.precision, interval.wilson(round(150 * found.precision), 150)[0]
        return getattr(found, name), getattr(found, f"{name}_error")

    assert 0.85 < ratio(len(neighbours), measure) < most


@pytest.mark.parametrize(("right", "asked"), [(0, 10), (3, 10), (10, 10), (499, 1000)])
def test_wilsons_interval_is_scipys(right: int, asked: int) -> None:
    expected = stats.binomtest(right, asked).proportion_ci(method="wilson")
    error, ends = interval.wilson(right, asked)
    assert ends == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert error > 0


def test_the_interval_of_a_mean() -> None:
    values = [1.0, 2.0, 4.0, 9.0]
    found = interval.of_mean(values)
    assert found is not None
    assert found.standard_error == pytest.approx(stats.sem(values))
    assert interval.of_mean([1.0, 0.0, 1.0]) == interval.wilson(2, 3)
    assert interval.of_mean([1.0]) is None
    assert interval.of_mean([1.0, math.nan]) is None
    assert interval.known(1.0, math.nan) == (None, None)
    assert interval.normal(0.1, 1.0, low=0.0).interval[0] == 0.0
    with pytest.raises(ValueError, match="nothing"):
        interval.wilson(0, 0)


def test_none_and_all_are_not_certain() -> None:
    assert interval.share(0.0, 0.0, asked=80) == interval.wilson(0, 80)
    assert interval.share(1.0, 0.0, asked=80) == interval.wilson(80, 80)
    assert interval.share(0.5, 0.1, asked=80) == interval.known(0.5, 0.1, low=0.0, high=1.0)


def test_every_metric_of_the_suite_has_its_interval() -> None:
    settings = MetricSettings(
        splits=2, subsets=4, subset_size=1000, neighbours=3, density_neighbours=5,
        neighbour_images=None, seed=SEED,
    )  # fmt: skip
    real = RealFeatures(normal(60, 6, 0), "train", "print")
    fake = Features(normal(40, 6, 1) + 0.2, 3 * normal(40, 4, 2))
    for name, value in evaluate(real, fake, extractor=extractor(), settings=settings).items():
        assert value.interval is not None, name
        assert value.standard_error is not None, name
        low, high = value.interval
        assert low <= value.value <= high, name
        assert high - low > value.standard_error, name
