"""What must hold for any features: identities, invariances, closed forms, monotony."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.metrics import kid
from genzoo.metrics.frechet import frechet_distance
from genzoo.metrics.inception_score import inception_score
from genzoo.metrics.kid import kernel_distance, mmd_unbiased
from genzoo.metrics.prdc import neighbour_metrics
from genzoo.metrics.stats import FeatureStatistics, FeatureSums, feature_statistics

seeds = st.integers(0, 2**31)
quick = settings(max_examples=15, deadline=None, derandomize=True)


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return frechet_distance(feature_statistics(a), feature_statistics(b))


@quick
@given(seed=seeds, n=st.integers(2, 40), d=st.integers(1, 20), scale=st.floats(1e-3, 1e3))
def test_equal_sets_are_at_distance_zero(seed: int, n: int, d: int, scale: float) -> None:
    x = normal(n, d, seed) * scale
    assert distance(x, x.flip(0)) < 1e-6 * scale**2 * d


@quick
@given(seed=seeds, n=st.integers(2, 40), m=st.integers(2, 40), d=st.integers(1, 20))
def test_frechet_is_symmetric_and_moves_with_the_mean(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(n, d, seed), 2 * normal(m, d, seed + 1)
    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-6, abs=1e-6)
    assert distance(x, x + 3) == pytest.approx(9 * d, rel=1e-4)


@quick
@given(seed=seeds, d=st.integers(1, 12))
def test_frechet_of_commuting_gaussians_has_a_closed_form(seed: int, d: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, d, generator=generator, dtype=torch.float64) + 0.1
    mean = torch.randn(2, d, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    first = FeatureStatistics(mean[0], basis * a @ basis.T, 1000)
    second = FeatureStatistics(mean[1], basis * b @ basis.T, 1000)
    expected = (mean[0] - mean[1]).square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert frechet_distance(first, second) == pytest.approx(expected.item(), rel=1e-9)


@quick
@given(seed=seeds, n=st.integers(2, 30), m=st.integers(2, 30), d=st.integers(1, 15))
def test_every_route_to_the_root_gives_the_same(seed: int, n: int, m: int, d: int) -> None:
    """With the centred rows, or from the moments alone (Cholesky, or the eigenvectors)."""
    a, b = feature_statistics(normal(n, d, seed)), feature_statistics(normal(m, d, seed + 1) * 3)
    bare = [FeatureStatistics(s.mean, s.cov, s.n) for s in (a, b)]
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(*bare), rel=1e-5, abs=1e-5)


@quick
@given(seed=seeds, d=st.integers(1, 10), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_moments_do_not_depend_on_the_batches(seed: int, d: int, cuts: list[int]) -> None:
    x = normal(30, d, seed) + 100
    sums = FeatureSums(d)
    for part in torch.tensor_split(x, sorted(cuts)):
        sums.update(part)
    found = sums.result()
    assert torch.allclose(found.mean, x.double().mean(0), rtol=1e-12)
    expected = torch.cov(x.double().T).reshape(d, d)
    assert torch.allclose(found.cov, expected, rtol=1e-9, atol=1e-12)


@quick
@given(seed=seeds, k=st.integers(2, 12), splits=st.integers(1, 4))
def test_inception_score_lies_between_one_and_the_classes(seed: int, k: int, splits: int) -> None:
    score, spread = inception_score(5 * normal(20, k, seed), splits=splits, seed=0)
    assert 1 - 1e-9 <= score <= k + 1e-9
    assert spread >= 0


def test_inception_score_at_its_two_ends() -> None:
    sure = torch.eye(7).repeat(3, 1) * 1e4
    assert inception_score(sure, splits=1, seed=0)[0] == pytest.approx(7)
    assert inception_score(torch.ones(6, 7), splits=2, seed=0) == pytest.approx((1, 0))


@quick
@given(seed=seeds)
def test_kernel_distance_ignores_order_where_it_sees_all(seed: int) -> None:
    x, y = normal(12, 5, seed), normal(12, 5, seed + 1) + 0.5
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    first, spread = kernel_distance(x, y, subsets=3, subset_size=12, seed=1)
    second, _ = kernel_distance(x[order], y[order], subsets=3, subset_size=12, seed=1)
    assert first == pytest.approx(second, rel=1e-9)
    assert spread == pytest.approx(0, abs=1e-9)


def test_kernel_distance_of_large_sets_takes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(30, 5, 1), normal(20, 5, 2) + 0.5
    together = kernel_distance(x, y, subsets=4, subset_size=8, seed=1)
    monkeypatch.setattr(kid, "WHOLE", 10)
    assert kernel_distance(x, y, subsets=4, subset_size=8, seed=1) == pytest.approx(together)


def test_kernel_distance_is_unbiased() -> None:
    """Zero on average between samples of one distribution, however small they are."""
    values = torch.tensor(
        [mmd_unbiased(normal(4, 3, s), normal(4, 3, s + 10**6)) for s in range(800)]
    )
    assert values.mean().abs() < 3 * values.std() / math.sqrt(len(values))


@quick
@given(seed=seeds, n=st.integers(6, 30), d=st.integers(1, 8))
def test_a_set_covers_itself_and_not_what_is_far(seed: int, n: int, d: int) -> None:
    x = normal(n, d, seed)
    same = neighbour_metrics(x, x.flip(0), neighbours=3, density_neighbours=5)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    far = neighbour_metrics(x, x + 1e4, neighbours=3, density_neighbours=5)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


@quick
@given(seed=seeds, n=st.integers(7, 25), m=st.integers(5, 25))
def test_neighbour_metrics_against_their_definitions(seed: int, n: int, m: int) -> None:
    real, fake = normal(n, 4, seed), normal(m, 4, seed + 1)
    found = neighbour_metrics(real, fake, neighbours=3, density_neighbours=5)

    def apart(a: torch.Tensor, b: torch.Tensor) -> list[list[float]]:
        return (a[:, None].double() - b[None].double()).norm(dim=2).tolist()

    def radius(x: torch.Tensor, k: int) -> list[float]:
        return [sorted(row)[k] for row in apart(x, x)]

    r3, r5, f3, d = radius(real, 3), radius(real, 5), radius(fake, 3), apart(real, fake)
    inside = [[d[i][j] < r5[i] for j in range(m)] for i in range(n)]
    precise = [any(d[i][j] <= r3[i] for i in range(n)) for j in range(m)]
    recalled = [any(d[i][j] <= f3[j] for j in range(m)) for i in range(n)]
    assert found.precision == pytest.approx(sum(precise) / m)
    assert found.recall == pytest.approx(sum(recalled) / n)
    assert found.density == pytest.approx(sum(map(sum, inside)) / (5 * m))
    assert found.coverage == pytest.approx(sum(map(any, inside)) / n)


@quick
@given(seed=seeds)
def test_more_noise_is_further_away(seed: int) -> None:
    x, noise = normal(60, 6, seed), normal(60, 6, seed + 1)
    noisy = [x + level * noise for level in (0.5, 2.0, 8.0)]
    frechet = [distance(x, y) for y in noisy]
    assert frechet == sorted(frechet)
    # The cubic kernel's estimate is too uncertain under heavy noise; a shift it must see.
    shifted = [noise + level for level in (0.0, 1.0, 2.0, 4.0)]
    kernel = [kernel_distance(x, y, subsets=1, subset_size=60, seed=0)[0] for y in shifted]
    assert kernel == sorted(kernel)
