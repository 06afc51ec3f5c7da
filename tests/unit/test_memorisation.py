"""Near-copies of training images are found in their number, and none where there are none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genzoo.metrics.features import Features, NetworkExtractor
from genzoo.metrics.memorisation import (
    Calibration,
    CopySearch,
    Memorisation,
    calibrate,
    share_of_copies,
    too_few_for_memorisation,
)
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.suite import FeatureMetrics, evaluate

CPU = torch.device("cpu")
SETTINGS = MetricSettings(
    splits=2, subsets=4, subset_size=50, neighbours=3, density_neighbours=5,
    neighbour_images=None, seed=2020,
)  # fmt: skip
EXTRACTOR = NetworkExtractor(
    name="tiny", sha256="0", input_size=8, resizing="none", dim=24, classes=0,
    prepare=torch.nn.Identity(), network=torch.nn.Identity(), device=CPU,
)  # fmt: skip
TRAINING, HELD_OUT = 600, 300


def images(n: int, generator: torch.Generator) -> Tensor:
    """Features in clusters of all densities: what is near in one is far in another."""
    centres = 4 * torch.randn(40, 24, generator=torch.Generator().manual_seed(9))
    of = torch.randint(40, (n,), generator=generator)
    width = torch.logspace(-1, 0.5, 40)[of, None]
    return centres[of] + width * torch.randn(n, 24, generator=generator)


class World:
    """Training images with families of near-duplicates, and held-out images of the same kind."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        training = images(TRAINING, self.generator)
        training[300:] = training[torch.arange(300) // 6 * 6] + 1e-3 * training[300:]
        self.training = RealFeatures(training, "train", "print")
        self.held_out = RealFeatures(images(HELD_OUT, self.generator), "validation", "print")
        self.calibration = calibrate(self.training, self.held_out, device=CPU)

    def samples(self, n: int, share: float) -> Tensor:
        """Of a model that copies a share of its samples from the training set."""
        copied = torch.randint(TRAINING, (round(share * n),), generator=self.generator)
        new = images(n - len(copied), self.generator)
        return torch.cat([self.training.pooled[copied], new])

    def found(self, samples: Tensor) -> Memorisation:
        return CopySearch(self.calibration).result(samples, device=CPU)


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [World(seed) for seed in range(60)]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 1.0])
def test_the_share_of_copies_is_found(worlds: list[World], share: float) -> None:
    found = [world.found(world.samples(300, share)) for world in worlds]
    held = [low <= share <= high for low, high in (one.known.interval for one in found)]
    assert sum(held) >= 0.93 * len(held)  # 56 of 60
    assert sum(one.share for one in found) / len(found) == pytest.approx(share, abs=0.008)
    assert all(0 <= x <= 1 for one in found for x in (one.share, *one.known.interval))


def test_a_ratio_that_is_not_calibrated_finds_copies_where_there_are_none(
    worlds: list[World],
) -> None:
    """The null model: Carlini's threshold of a half, whatever held-out images have."""
    world = worlds[0]
    new = world.found(world.samples(300, 0.0))
    assert (new.ratio <= 0.5).double().mean() > 0.05
    assert new.share < 0.02


def test_who_learns_by_heart_wins_every_other_metric(worlds: list[World]) -> None:
    """Copied training images beat held-out real images, and only here they do not."""
    world = worlds[1]
    copies, new = (Features(world.samples(300, share), None) for share in (1.0, 0.0))

    def measured(samples: Features) -> dict[str, float]:
        values = evaluate(
            world.training,
            samples,
            extractor=EXTRACTOR,
            settings=SETTINGS,
            copies=CopySearch(world.calibration),
        )
        return {name.partition("/")[0]: value.value for name, value in values.items()}

    heart, honest = measured(copies), measured(new)
    assert heart["frechet_distance"] < honest["frechet_distance"]
    assert heart["precision"] == 1.0 > honest["precision"]
    assert heart["memorised"] == 1.0
    assert honest["memorised"] < 0.02


def test_a_poor_model_memorises_nothing(worlds: list[World]) -> None:
    for samples in (
        worlds[0].samples(50, 0.0) + 1e4,
        torch.zeros(50, 24),
        1e-3 * worlds[0].samples(50, 0.0),
    ):
        found = worlds[0].found(samples)
        assert found.share == 0.0
        assert found.known.interval[0] == 0.0
        assert 0 < found.known.interval[1] < 0.1
        assert ((found.ratio >= 0) & (found.ratio <= 1)).all()


def test_copies_of_look_alikes_are_copies() -> None:
    """Where training images come in equal ones, a copy is at distance 0 from all of them."""
    training = torch.randn(4, 24, generator=torch.Generator().manual_seed(0))
    alike = RealFeatures(training.repeat_interleave(80, 0), "train", "print")
    held_out = torch.randn(40, 24, generator=torch.Generator().manual_seed(1))
    calibration = calibrate(alike, RealFeatures(held_out, "validation", "print"), device=CPU)
    found = CopySearch(calibration).result(alike.pooled[::16], device=CPU)
    assert found.share == 1.0
    assert found.ratio.tolist() == [0.0] * 20
    # Where every held-out image is itself a copy, nothing can be told, and the interval says so.
    blind = Calibration(alike, torch.zeros(40, dtype=torch.float64))
    assert CopySearch(blind).result(training, device=CPU).known.interval == (0.0, 1.0)


def test_a_shared_pass_finds_the_same(worlds: list[World]) -> None:
    """Whether distances come from the neighbour metrics' pass or from one of its own."""
    world = worlds[2]
    samples = Features(world.samples(100, 0.1), None)
    found = []
    for real in (world.training, world.held_out):
        metric = FeatureMetrics(
            real=real, extractor=EXTRACTOR, settings=SETTINGS, calibration=world.calibration
        )
        metric.update(samples, torch.arange(100))
        value = metric.compute()["memorised/tiny"]
        assert metric.memorisation is not None
        assert value.interval == metric.memorisation.known.interval
        assert value.better == "lower"
        found.append((value, metric.memorisation.ratio.tolist(), metric.memorisation.row.tolist()))
    assert found[0] == found[1]


def test_the_most_suspicious_pairs(worlds: list[World]) -> None:
    world = worlds[3]
    copied = torch.tensor([5, 77, 77, 400])
    samples = torch.cat([world.samples(30, 0.0), world.training.pooled[copied]])
    pairs = world.found(samples).most_suspicious(5)
    assert [pair[:2] for pair in pairs[:3]] == [(30, 5), (31, 77), (33, 400)]
    assert [pair.ratio for pair in pairs[:3]] == [0.0] * 3
    assert len({pair.training for pair in pairs}) == 5
    assert [pair.ratio for pair in pairs] == sorted(pair.ratio for pair in pairs)


def test_the_interval_is_newcombes() -> None:
    """His table 2, contrast (a): 56/70 - 48/80 has 0.0524 to 0.3339 by method 10."""
    share, (error, (low, high)) = share_of_copies(56, 70, 48, 80)
    assert share == pytest.approx(0.2 / 0.4)
    assert (0.4 * low, 0.4 * high) == (
        pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4)
    )  # fmt: skip
    assert error * 2 * 1.96 == pytest.approx(high - low, rel=0.05)
    assert math.isfinite(share_of_copies(3, 3, 3, 3)[1].standard_error)


def test_too_few_images_are_a_reason() -> None:
    assert too_few_for_memorisation(500, 100) is None
    assert too_few_for_memorisation(500, 12) is not None
    assert "12 held-out images" in str(too_few_for_memorisation(500, 12))
    assert "1 training image," in str(too_few_for_memorisation(1, 100))
