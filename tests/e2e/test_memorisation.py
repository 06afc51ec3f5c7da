"""task=evaluate on a model that has learned a part of its training images by heart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.config.composition import compose
from genzoo.core.image import to_float
from genzoo.metrics.features import NetworkExtractor
from genzoo.run.build import build_data

Run = Callable[..., tuple[int, str, str]]

PARROT = '''
"""A family that repeats training images, and otherwise has images that it was never shown."""

from pathlib import Path

import torch
from torch import nn

from genzoo.core.types import Capabilities, Losses
from genzoo.models.base import GenerativeModel, identity

NEW = Path(__file__).with_name("new.pt")


class Parrot(GenerativeModel):
    capabilities = Capabilities(sampling="by heart")

    def __init__(self, *, image_size, share):
        super().__init__()
        self.register_buffer("seen", torch.zeros(800, 3, image_size, image_size))
        self.weight = nn.Parameter(torch.zeros(1))
        self.share = share

    def losses(self, batch, *, noise):
        self.seen[batch.index] = batch.image
        error = (batch.image - self.weight).square().flatten(1).mean(1)
        return Losses(error, {"error": error})

    def sample(self, cond, shape, *, noise, guidance=identity):
        known = self.seen[self.seen.abs().sum((1, 2, 3)) > 0]
        one = known[noise.integers(len(known)).long()]
        whole = noise.integers(1000) < 1000 * self.share
        new = torch.load(NEW)[noise.integers(200).long()]
        return torch.where(whole[:, None, None, None], one, new)
'''

YAML = """
# @package _global_
model:
  name: parrot
  _target_: birds.Parrot
  image_size: ${data.image_size}
  share: 0.0
"""

COMMON = (
    "model=parrot", "data=shapes", "data.source.count=800", "data.image_size=16",
    "data.validation=0.25", "optimizer.batch_size=200", "budget.images=2400",
    "trainer.gpus=0", "logger=none", "trainer.log_images=600", "trainer.monitor_images=null",
    "metrics.images=300", "metrics.held_out_images=8", "metrics.batch=100",
)  # fmt: skip


def small_extractor(*_: object, **__: object) -> NetworkExtractor:
    """Means of 4 x 4 pixels: a network that takes no time."""
    pool = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    return NetworkExtractor(
        name="means", sha256="0", input_size=16, resizing="none", dim=48, classes=0,
        prepare=lambda images: images.float() / 255, network=Pooled(pool),
        device=torch.device("cpu"),
    )  # fmt: skip


class Pooled(torch.nn.Module):
    def __init__(self, pool: torch.nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pool(images), images.new_empty(len(images), 0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, text in {"birds.py": PARROT, "own/model/parrot.yaml": YAML}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    data = build_data(compose(*(one for one in COMMON if "parrot" not in one), "model=vae"))
    torch.save(to_float(data.images(data.spread("validation", 200))), tmp_path / "new.pt")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("genzoo.config.paths._own", [])
    monkeypatch.setattr("genzoo.tasks.extractors.build_extractor", small_extractor)
    return f"--config-dir={tmp_path / 'own'}"


def results(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "results.json").read_text())["metrics"]
    return metrics


def test_a_model_that_repeats_a_tenth(genzoo: Run, own: str, tmp_path: Path) -> None:
    status, _, error = genzoo(own, *COMMON, "hydra.run.dir=new")
    assert status == 0, error
    again = ("task=evaluate", "checkpoint=new", "model.share=0.1", *COMMON[-3:], "trainer.gpus=0")
    status, out, error = genzoo(own, *again, "logger=none", "hydra.run.dir=heart")
    assert status == 0, error
    new, heart = (results(tmp_path / run)["memorised/means"] for run in ("new", "heart"))
    assert "memorised/means" in out
    assert new["interval"][0] == 0.0
    assert new["value"] < 0.02
    assert heart["value"] == pytest.approx(0.1, abs=0.04)
    assert heart["interval"][0] <= 0.1 <= heart["interval"][1]
    assert heart["interval"][0] > new["value"]
    assert heart["better"] == "lower"
    assert heart["stamp"]["real_split"] == "train"
    assert heart["stamp"]["real_images"] + heart["stamp"]["calibration_images"] == 800
    assert "1% of held-out" in heart["stamp"]["settings"]
    check_pairs(tmp_path / "heart" / "gallery" / "memorisation")


def check_pairs(folder: Path) -> None:
    """They were sampled again, and they are copies."""
    pairs = json.loads((folder / "memorisation.json").read_text())["pairs"]
    assert len(pairs) == 5
    for pair in pairs:
        sample, training = (
            np.asarray(Image.open(folder / pair[name])).astype(int)
            for name in ("sample", "training")
        )
        assert np.abs(sample - training).max() <= 1
        assert pair["near_copy"]
        assert pair["ratio"] == pytest.approx(0, abs=1e-3)
        assert pair["caption"]
        assert pair["training_caption"]


def test_without_held_out_images_it_is_not_measured(genzoo: Run, own: str, tmp_path: Path) -> None:
    few = (
        "data.source.count=100",
        "data.validation=0.1",
        "budget.images=100",
        "metrics.images=20",
    )
    status, out, error = genzoo(own, *COMMON, *few, "hydra.run.dir=few")
    assert status == 0, error
    assert "not measured: memorised (" in out
    assert "held-out images, and 20 are the least" in out
    assert "precision/means" in results(tmp_path / "few")
    assert "memorised/means" not in results(tmp_path / "few")
    assert not (tmp_path / "few" / "gallery" / "memorisation").exists()
