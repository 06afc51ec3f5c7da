"""Every configs/model/*.yaml in every precision, from training to samples, by the command line.

Only sizes and budgets differ from the defaults; the CPU's autocast and scaler stand in for those
of a GPU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from genzoo.config.paths import groups
from genzoo.core.precision import DTYPES
from genzoo.models import manipulation
from genzoo.weights.checkpoint import LAST

Run = Callable[..., tuple[int, str, str]]

MACHINE = ("trainer.gpus=0", "logger=none")
DATA = ("data=shapes", "data.source.count=64", "data.image_size=16", "optimizer.batch_size=8")
MONITOR = ("trainer.log_images=8", "trainer.monitor_images=16", "trainer.validation_images=8")
METRICS = (
    "metrics.images=10",
    "metrics.real_images=10",
    "metrics.copies_among=0",
    "metrics.held_out_images=8",
    "metrics.batch=10",
)
STEPS = "sampler.steps=3"
UNET = ("unet.width=16", "unet.head_channels=8")
LESS = {  # steps of drawing, and layers of networks
    "diffusion": (STEPS, "model.likelihood_steps=3", *(f"model.{key}" for key in UNET)),
    "flow": ("model.arch.levels=2", "model.arch.steps=1", "model.text.layers=1"),
    "gan": ("model.generator.widths=[8,16]", "model.discriminator.widths=[8,16]"),
    "glide": (STEPS, "model.likelihood_steps=3", *(f"model.{key}" for key in UNET)),
    "unclip": (
        STEPS, "model.prior.steps=3", "model.prior.network.layers=1",
        *(f"model.decoder.{key}" for key in UNET),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a CLIP lies for unCLIP to be built on; the first who needs it trains it."""
    return tmp_path_factory.mktemp("clip") / "run"


def sizes(name: str, clip: Path, genzoo: Run) -> tuple[str, ...]:
    """The smallest run of a family that leaves nothing out."""
    own = (*DATA, *LESS.get(name, ()))
    if name != "unclip":
        return own
    if not (clip / LAST).is_file():
        made = genzoo("model=clip", f"hydra.run.dir={clip}", "budget.images=8", *DATA, *MACHINE)
        assert made[0] == 0, made[2]
    return *own, f"clip={clip}"


def points(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "curves.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("name", groups()["model"])
def test_a_family_trains_resumes_is_measured_and_draws(
    name: str,
    precision: str,
    genzoo: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manipulation, "INVERSION", 3)  # steps back from a given picture
    folder = tmp_path / "run"
    own = sizes(name, clip, genzoo)
    common = (f"trainer.precision={precision}", f"hydra.run.dir={folder}", *MACHINE)
    looks = (*MONITOR, *METRICS)
    status, _, said = genzoo(f"model={name}", "budget.images=16", *own, *common, *looks)
    assert status == 0, said
    status, _, said = genzoo(f"checkpoint={folder}", "budget.images=32", *common, *looks)
    assert status == 0, said

    curves = points(folder)
    assert {point["images"] for point in curves} >= {8, 16, 24, 32}
    for point in curves:
        for key, value in point.items():
            assert math.isfinite(value), (key, point)
    for look in (16, 32):
        values = [key for point in curves if point["images"] == look for key in point]
        assert any(key.startswith("validation/") for key in values)
    results = json.loads((folder / "results.json").read_text())
    stated = "32-true" if name == "flow" else precision  # a map that has to be inverted exactly
    assert results["training"]["precision"] == stated
    assert results["sampling"]["precision"] == stated
    assert results["metrics"]
    for metric, entry in results["metrics"].items():
        assert math.isfinite(entry["value"]), metric
        assert entry["stamp"]["precision"] == stated, metric
    saved = torch.load(folder / LAST, weights_only=True)
    assert all(value.dtype != torch.float16 for value in saved["state_dict"].values())
    assert ("Mixed" in saved) == (precision == "16-mixed")  # the scale of the gradients

    if results["model"]["sampling"] is None:
        return
    drawn = tmp_path / "drawn"
    common = (f"trainer.precision={precision}", f"hydra.run.dir={drawn}", *MACHINE)
    drawing = ("task=sample", f"checkpoint={folder}", "prompt=a circle", "count=2", *common)
    status, _, said = genzoo(*drawing)
    assert status == 0, said
    with Image.open(drawn / "samples" / "00001.png") as picture:
        assert picture.info["precision"] == stated
