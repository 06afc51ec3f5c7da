"""Keys of a model that are typed where a training goes on: they hold, or one line refuses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from genzoo.adversarial.augment import Augmentation
from genzoo.config.composition import compose
from tests.small import DATA, METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]
GAN = (
    "model=gan", "model.latent=8", "model.generator.widths=[16,8]", "model.group=8",
    "model.discriminator.widths=[8,16]", *DATA, *TRAINING, *METRICS,
)  # fmt: skip
MORE = ("checkpoint=a", "budget.images=160", "logger=none", "trainer.gpus=0", *METRICS)


def held(folder: Path) -> tuple[float, dict[str, object]]:
    """The probability in a run's checkpoint, and the model that it records."""
    content = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    (key,) = [k for k in content["state_dict"] if k == "model.augmentation.probability"]
    config = content["genzoo"]["config"]["model"]
    assert config == yaml.safe_load((folder / "config.yaml").read_text())["model"]
    return float(content["state_dict"][key]), config


def test_augmentation_and_weights_of_losses(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(*GAN, "hydra.run.dir=a")
    assert status == 0, error
    assert held(tmp_path / "a")[0] == 0.0
    typed = ("model.augmentation.mode=fixed", "model.augmentation.probability=0.3", "model.r1=1.5")
    status, _, error = genzoo(*MORE, *typed, "hydra.run.dir=b")
    assert status == 0, error
    probability, config = held(tmp_path / "b")  # it was 0 before: the checkpoint's won
    assert probability == pytest.approx(0.3)
    assert config["r1"] == 1.5
    assert config["augmentation"] == {
        "mode": "fixed", "probability": 0.3, "target": 0.6, "images": 500000,
    }  # fmt: skip
    # An adaptive one is a state that goes on: where it begins can no longer be said.
    adaptive = ("model.augmentation.mode=adaptive", "model.augmentation.images=100000")
    status, _, error = genzoo(
        *MORE, *adaptive, "model.augmentation.probability=0.5", "hydra.run.dir=c"
    )
    assert status == 2
    (line,) = error.splitlines()
    assert "model.augmentation.probability" in line
    assert "has begun with another augmentation.probability" in line
    status, _, error = genzoo(*MORE, *adaptive, "hydra.run.dir=d")
    assert status == 0, error
    assert held(tmp_path / "d")[1]["augmentation"]["mode"] == "adaptive"  # type: ignore[index]
    status, _, error = genzoo(*MORE, "model.latent=9", "hydra.run.dir=e")
    assert status == 2
    assert "does not fit" in error


@pytest.mark.parametrize(("mode", "expected"), [("none", 0.0), ("fixed", 0.3), ("adaptive", 0.7)])
def test_only_an_adaptive_probability_is_loaded(mode: str, expected: float) -> None:
    settings = compose("model=gan").model.augmentation
    new = Augmentation(**{**settings, "mode": mode, "probability": 0.3})
    new.load_state_dict({"probability": torch.tensor(0.7)})
    assert float(new.probability) == pytest.approx(expected)
