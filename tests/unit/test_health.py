"""A training that goes wrong is noticed and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genzoo.core.errors import GenzooError
from genzoo.lit.health import LOOKS, Health, diversity


def test_a_loss_that_is_no_number_is_named_with_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    health = Health(path)
    health.check_losses({"total": 1.0}, images=64)
    with pytest.raises(GenzooError, match=r"'total' became nan after 64 images; start again"):
        health.check_losses({"total": float("nan")}, images=64)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(GenzooError, match=rf"checkpoint={tmp_path / 'run'} with a lower"):
        health.check_losses({"total": float("inf")}, images=64)


def test_weights_are_looked_at(tmp_path: Path) -> None:
    health, layer = Health(tmp_path / "last.ckpt"), torch.nn.Linear(2, 2)
    health.check_weights(layer, images=1)
    with torch.no_grad():
        layer.bias[1] = float("nan")
    with pytest.raises(GenzooError, match="weights of bias"):
        health.check_weights(layer, images=1)


@pytest.mark.parametrize("worst", [0.0, float("nan")])
def test_samples_alike_for_some_time_are_a_collapse(tmp_path: Path, worst: float) -> None:
    health = Health(tmp_path / "last.ckpt")
    for value in [worst] * (LOOKS - 1) + [0.5] + [worst] * (LOOKS - 1):
        health.check_samples(value, images=1)
        assert health.suspect == (value != 0.5)
    with pytest.raises(GenzooError, match="collapsed"):
        health.check_samples(worst, images=1)


def test_diversity_is_a_share_of_real_images() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randint(256, (32, 3, 8, 8), generator=generator, dtype=torch.uint8)
    assert diversity(real, real) == pytest.approx(1.0)
    assert diversity(real[:1].expand(32, -1, -1, -1), real) == 0
    assert diversity(real // 2, real) == pytest.approx(0.5, abs=0.01)
