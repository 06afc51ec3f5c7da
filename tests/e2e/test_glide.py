"""GLIDE from the command line: base and upsampler as a cascade, and what cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.small import METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]

TINY = ("model=glide", "model.size=tiny", "model.unet.width=8", "model.unet.head_channels=8")
TINY += ("sampler.steps=2", "model.likelihood_steps=2", *TRAINING, *METRICS, "budget.images=32")


@pytest.fixture
def stages(genzoo: Run) -> Run:
    """Runs `base` (16 px) and `up` (16 to 32 px)."""
    up = ("model.stage=upsample", "model.low_size=16", "data.image_size=32")
    for name, own in (("base", ("data.image_size=16",)), ("up", up)):
        status, _, error = genzoo(*TINY, *own, f"hydra.run.dir={name}")
        assert status == 0, error
    return genzoo


def test_a_cascade(stages: Run, tmp_path: Path) -> None:
    sample = ("task=sample", "checkpoint=base", "count=2", "prompt=a red heart")
    status, _, error = stages(*sample, "upsampler=up", "upsampler_steps=3", "hydra.run.dir=large")
    assert status == 0, error
    with Image.open(tmp_path / "large" / "samples" / "00001.png") as image:
        assert image.size == (32, 32)
        assert image.text["caption"] == "a red heart"
        assert image.text["upsampler"].endswith("last.ckpt")
    status, _, error = stages(*sample, "hydra.run.dir=small")
    assert status == 0, error
    with Image.open(tmp_path / "small" / "samples" / "00001.png") as image:
        assert image.size == (16, 16)
        assert image.text["upsampler"] == "none"
    status, _, error = stages(*sample, "upsampler=base")
    assert status == 2
    assert "no upsampler" in error
    status, _, error = stages("task=sample", "checkpoint=up", "upsampler=up", "count=1")
    assert status != 0  # an upsampler alone draws nothing
    assert len(error.splitlines()) == 1


def test_released_weights_without_the_files(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(
        "task=sample", "model=glide", "checkpoint=openai", f"weights_dir={tmp_path}", "prompt=x"
    )
    assert status == 2
    assert "base.pt" in error
    status, _, error = genzoo("task=sample", "model=vae", "checkpoint=openai", "prompt=x")
    assert status == 2
    assert "model=glide" in error
