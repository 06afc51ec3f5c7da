"""What few samples do to a Fréchet distance, and what is said of it."""

import pytest
import torch

from genzoo.core.errors import UsageError
from genzoo.metrics.floor import frechet_floor, needed
from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.frechet_infinity import frechet_infinity, least_samples
from genzoo.metrics.stats import FeatureStatistics, feature_statistics, merged

DIM = 48
SPECTRUM = torch.linspace(1, 0.05, DIM, dtype=torch.float64)


def population(mean: float) -> FeatureStatistics:
    """What infinitely many images have, but for the number."""
    return FeatureStatistics(torch.full((DIM,), mean, dtype=torch.float64), SPECTRUM.diag(), 10**9)


def drawn(n: int, *, seed: int, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, DIM, dtype=torch.float64, generator=generator)
    return normal * SPECTRUM.sqrt() * scale + mean


@pytest.mark.parametrize("sizes", [(5, 7), (30, 11), (40, 200, 3)])
def test_merged_statistics_are_those_of_all(sizes: tuple[int, ...]) -> None:
    parts = [drawn(n, seed=n, mean=n / 10) for n in sizes]
    found, expected = (
        merged([*map(feature_statistics, parts)]),
        feature_statistics(torch.cat(parts)),
    )
    assert found.n == expected.n
    assert torch.allclose(found.mean, expected.mean)
    assert torch.allclose(found.cov, expected.cov)
    assert (found.rows is None) == (found.n > DIM)
    if found.rows is not None:
        assert torch.allclose(found.rows.T @ found.rows, expected.cov)


@pytest.mark.parametrize(("n", "left"), [(300, 0.2), (960, 0.1)])
def test_extrapolation_takes_the_bias_of_few_samples_away(n: int, left: float) -> None:
    """Over 30 models; the better, the more samples there are for the line."""
    truth = DIM * 0.2**2 + float(SPECTRUM.sum()) * 0.1**2
    bias, found = [], []
    for seed in range(30):
        fake = drawn(n, seed=seed, mean=0.2, scale=1.1)
        bias.append(frechet_distance(population(0), feature_statistics(fake)) - truth)
        found.append(frechet_infinity(population(0), fake, seed=2020))
    assert min(bias) > 0
    error = sum(one.value - truth for one in found) / len(found)
    assert abs(error) < left * sum(bias) / len(bias)
    assert sum(one.low <= truth <= one.high for one in found) >= 26  # 95 % of 30 are 28.5


@pytest.mark.parametrize("n", [36, 48, 96])
def test_the_interval_owns_up_to_the_curve_where_samples_are_few(n: int) -> None:
    for seed in range(5):
        found = frechet_infinity(population(0), drawn(n, seed=seed), seed=2020)
        assert found.low <= 0 <= found.high


def test_too_few_samples_for_the_features_are_refused() -> None:
    assert least_samples(1280) == 960
    with pytest.raises(UsageError, match=r"35 samples are too few .* 48 features; .* 36 or more"):
        frechet_infinity(population(0), drawn(35, seed=0), seed=2020)


@pytest.mark.parametrize(
    ("real", "fake", "off"),
    [(120, 30, 0.12), (400, 100, 0.12), (200, 200, 0.12), (60, 60, 0.35), (80, 200, 0.35)],
)
def test_the_floor_is_what_other_real_images_score(real: int, fake: int, off: float) -> None:
    """Rough where real images are as few as features, and never less than half or twice."""
    pairs = [(drawn(real, seed=k), drawn(fake, seed=1000 + k)) for k in range(20)]
    truth = [frechet_distance(feature_statistics(a), feature_statistics(b)) for a, b in pairs]
    floors = [frechet_floor(a, samples=fake, seed=2020) or 0.0 for a, _ in pairs]
    assert sum(floors) / 20 == pytest.approx(sum(truth) / 20, rel=off)


def test_the_floor_of_enough_images_is_small() -> None:
    images = needed(DIM)
    found = frechet_floor(drawn(images, seed=0), samples=images, seed=2020)
    assert found is not None
    assert found < 0.06 * float(SPECTRUM.sum())
    assert frechet_floor(drawn(4, seed=0), samples=100, seed=2020) is None
