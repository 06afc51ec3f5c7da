"""Neighbours found in float32 are those of float64: at ties, among equal and nearly equal rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.metrics import distances, radii
from genzoo.metrics.distances import Distances
from genzoo.metrics.features import Features, NetworkExtractor
from genzoo.metrics.nearest import nearest
from genzoo.metrics.prdc import NeighbourMetrics, neighbour_metrics
from genzoo.metrics.radii import kept_radii, squared_radii
from genzoo.metrics.real import RealFeatures, subset
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.suite import evaluate

CPU = torch.device("cpu")


def normal(n: int, seed: int, *, d: int = 64) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def squared(a: Tensor, b: Tensor) -> Tensor:
    """From differences, in float64."""
    return (a.double()[:, None] - b.double()[None]).square_().sum(2)


def by_definition(
    real: Tensor, fake: Tensor, apart: Callable[[Tensor, Tensor], Tensor] = squared
) -> NeighbourMetrics:
    """The four numbers from whole matrices of distances."""
    r3, r5 = (apart(real, real).sort(dim=1).values[:, k] for k in (3, 5))
    f3 = apart(fake, fake).sort(dim=1).values[:, 3]
    between = apart(fake, real)
    return NeighbourMetrics(
        precision=(between <= r3).any(1).double().mean().item(),
        recall=(between <= f3[:, None]).any(0).double().mean().item(),
        density=(between < r5).double().sum().item() / (5 * len(fake)),
        coverage=(between < r5).any(0).double().mean().item(),
    )


def expanded(a: Tensor, b: Tensor) -> Tensor:
    """What float32 alone makes of it: the null model."""
    return a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T


def ordinary() -> tuple[Tensor, Tensor]:
    return normal(300, 0), normal(120, 1)


def five_captions() -> tuple[Tensor, Tensor]:
    """Each real image five times, as with five captions; half of the samples are copies."""
    real = normal(60, 2).repeat_interleave(5, 0)
    return real, torch.cat([real[::6], normal(50, 3)])


def copies_of_neighbours() -> tuple[Tensor, Tensor]:
    """Every sample is a real image, and so lies on the border of other images' balls."""
    real = normal(300, 4)
    return real, real[torch.randperm(300, generator=torch.Generator().manual_seed(5))[:150]]


def nearly_equal() -> tuple[Tensor, Tensor]:
    """Families whose members float32 cannot tell apart, far from one another."""
    real = 30 * normal(20, 6).repeat_interleave(15, 0) + 1e-5 * normal(300, 7)
    return real, 30 * normal(20, 6).repeat_interleave(6, 0) + 1e-5 * normal(120, 8)


def collapsed() -> tuple[Tensor, Tensor]:
    """A model with one sample, far from everything."""
    return normal(200, 9), (normal(1, 10) + 1e4).repeat(100, 1)


def collapsed_onto_one() -> tuple[Tensor, Tensor]:
    real = normal(200, 9)
    return real, real[:1].repeat(100, 1)


CASES = [
    ordinary, five_captions, copies_of_neighbours, nearly_equal, collapsed, collapsed_onto_one
]  # fmt: skip


def found(real: Tensor, fake: Tensor, **more: Path) -> NeighbourMetrics:
    return neighbour_metrics(real, fake, neighbours=3, density_neighbours=5, **more)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("block", [64, 2**20])
def test_float32_counts_as_float64(case, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_BYTES", {"cpu": 400 * block})
    real, fake = case()
    assert found(real, fake) == by_definition(real, fake)


def test_float32_alone_does_not() -> None:
    real, fake = nearly_equal()
    assert by_definition(real, fake, expanded) != by_definition(real, fake)


def test_the_error_of_a_block_is_bounded() -> None:
    a, b = 1e3 * normal(40, 1, d=2048) + 5e3, 1e3 * normal(50, 2, d=2048)
    for block in Distances(a, b, device=CPU).blocks():
        gap = (block.squared.double() - squared(a[block.rows], b)).abs()
        bound = (block.row_error + block.column_error).double()
        assert (gap <= bound).all()
        assert (bound < 1e-3 * block.squared).all()  # and it is of use


def test_nearest_rows_of_equal_distance_come_in_their_order() -> None:
    b = normal(6, 1)[[0, 1, 1, 2, 1, 3]]
    found = nearest(b[[4, 0]], b, k=3, exact=(0, 1, 2), device=CPU)
    assert found.row[0].tolist() == [1, 2, 4]
    assert found.squared[0].tolist() == [0, 0, 0]
    assert found.row[1, 0] == 0


def test_only_asked_ranks_are_looked_at_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    x, pairs = normal(400, 1), []
    exact = Distances.exact
    monkeypatch.setattr(
        Distances, "exact", lambda self, i, j: pairs.append(len(i)) or exact(self, i, j)
    )
    squared_radii(x, (3, 5), device=CPU)
    assert sum(pairs) < 3 * len(x)


def test_radii_are_kept_by_what_they_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, computed = normal(50, 1), []
    plain = squared_radii
    monkeypatch.setattr(
        radii, "squared_radii", lambda *a, **k: computed.append(1) or plain(*a, **k)
    )

    def kept(x: Tensor, ks: tuple[int, ...] = (3, 5)) -> list[Tensor]:
        return kept_radii(x, ks, device=CPU, cache=tmp_path)

    first, again = kept(x), kept(x.clone())
    assert len(computed) == 1
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    changed = x.clone()
    changed[0, 0] += 1
    kept(changed), kept(x, (2, 5)), kept(x.flip(0))
    assert len(computed) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(kept(x)[0], first[0])
    assert len(computed) == 5
    assert found(x, normal(20, 2), cache=tmp_path) == found(x, normal(20, 2))


def test_beyond_a_cap_a_fixed_choice_of_images_stands_for_all() -> None:
    settings = MetricSettings(
        splits=1, subsets=1, subset_size=2, neighbours=3, density_neighbours=5,
        neighbour_images=40, seed=2020,
    )  # fmt: skip
    named = NetworkExtractor(
        name="named", sha256="0", input_size=8, resizing="none", dim=64, classes=0,
        prepare=torch.nn.Identity(), network=torch.nn.Identity(), device=CPU,
    )  # fmt: skip
    real, fake = ordinary()
    measured = [
        evaluate(
            RealFeatures(real[rows], "train", "print"),
            Features(fake, None),
            extractor=named,
            settings=settings,
        )["precision/named"].value
        for rows in (slice(None), slice(40))
    ]
    chosen = subset(torch.arange(300), 40, seed=2020)
    assert measured[0] == by_definition(real[chosen], fake[:40]).precision != measured[1]
    assert settings.of("recall", real=300, fake=120) == "k=3 among 40 real, 40 generated"
    assert settings.of("recall", real=40, fake=30) == "k=3"
    with pytest.raises(UsageError, match=r"neighbour_images=5 has no 5 neighbours"):
        replace(settings, neighbour_images=5)
