"""GLIDE from the command line: base and upsampler as a cascade, and what cannot be one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
        assert re.fullmatch("up [0-9a-f]{12}", image.text["upsampler"])
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


def test_inpainting_by_a_cascade(genzoo: Run, tmp_path: Path) -> None:
    inpaint = "model.inpaint=true"
    up = ("model.stage=upsample", "model.low_size=16", "data.image_size=32")
    fast = ("optimizer.lr=0.05", "optimizer.warmup_images=0")  # or two steps draw grey alone
    for name, own in (("base", ("data.image_size=16", inpaint)), ("up", (*up, inpaint, *fast)),
                      ("blind", up)):  # fmt: skip
        status, _, error = genzoo(*TINY, *own, f"hydra.run.dir={name}")
        assert status == 0, error
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 12:30] = 255
    Image.fromarray(picture).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    own = ("task=inpaint", "checkpoint=base", "image=image.png", "mask=mask.png", "prompt=a cat")
    pixels = {}
    for steps in (2, 3):
        status, _, error = genzoo(
            *own, "upsampler=up", f"upsampler_steps={steps}", "count=1", f"hydra.run.dir=d{steps}"
        )
        assert status == 0, error
        with Image.open(tmp_path / f"d{steps}" / "inpainted" / "00000.png") as image:
            assert re.fullmatch("up [0-9a-f]{12}", image.text["upsampler"])
            pixels[steps] = np.asarray(image)
        assert (pixels[steps][mask == 0] == picture[mask == 0]).all()
    assert (pixels[2] != pixels[3]).any()  # the upsampler drew what is seen
    status, _, error = genzoo(*own, "upsampler=blind")
    assert status == 2
    assert "upsampler=blind cannot inpaint" in error


def test_released_weights_without_the_files(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(
        "task=sample", "model=glide", "checkpoint=openai", f"weights_dir={tmp_path}", "prompt=x"
    )
    assert status == 2
    assert "base.pt" in error
    status, _, error = genzoo("task=sample", "model=vae", "checkpoint=openai", "prompt=x")
    assert status == 2
    assert "model=glide" in error
