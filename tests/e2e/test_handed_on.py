"""Pictures, results and pages say nothing of the machine that they were made on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genzoo.config.paths import zoo_dir
from tests.hostile import checkpoint
from tests.shell import Result

Shell = Callable[..., Result]

KEY = "0123456789abcdef0123456789"
QUICK = ("sampler=ddim", "sampler.steps=2", "trainer.gpus=0", "logger=none")
COMMANDS = {
    "sample": ("diffusion_16", "prompt=a", "count=1"),
    "inpaint": ("glide", "image={}/a.png", "mask={}/m.png", "prompt=a", "count=1"),
    "vary": ("unclip_16", "image={}/a.png", "count=1"),
    "interpolate": ("unclip_16", "image={}/a.png", "end={}/m.png", "steps=2"),
    "textdiff": ("unclip_16", "image={}/a.png", "source=a", "target=b", "steps=2"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with pictures, and one outside it."""
    folder = tmp_path / "ann" / "private"
    folder.mkdir(parents=True)
    for name in ("a.png", "m.png"):
        pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def tells(folder: Path, *words: str) -> list[Path]:
    handed = [*folder.rglob("*.png"), *folder.rglob("*.json"), *folder.rglob("comparison.*")]
    return [f for f in handed if any(word.encode() in f.read_bytes() for word in words)]


@pytest.mark.parametrize("task", COMMANDS)
def test_pictures_carry_no_folders(shell: Shell, tmp_path: Path, home: Path, task: str) -> None:
    model, *own = COMMANDS[task]
    file = home / "mine.safetensors"
    shutil.copy(zoo_dir() / f"{model}.safetensors", file)
    arguments = [word.format(home) for word in own]
    result = shell(
        f"task={task}", f"checkpoint={file}", *arguments, *QUICK, f"hydra.run.dir={home}/out",
        env={"HOME": str(tmp_path / "ann")},
    )  # fmt: skip
    assert result.status == 0, result.err
    pictures = list((home / "out").rglob("*0.png"))
    assert pictures
    assert not tells(home / "out", str(tmp_path), "private")
    with Image.open(sorted(pictures)[0]) as picture:
        about = picture.text  # type: ignore[attr-defined]
    name, _, digest = about["checkpoint"].rpartition(" ")
    assert name == "mine.safetensors"
    assert len(digest) == 12
    if "image" in about:
        assert about["image"].startswith("a.png ")


def test_results_and_pages_have_no_home_and_no_secret(
    shell: Shell, tmp_path: Path, home: Path
) -> None:
    file = checkpoint(home / "mine.ckpt")
    measured = (
        "metrics.images=8",
        "metrics.real_images=8",
        "metrics.copies_among=0",
        "metrics.held_out_images=8",
    )
    env = {"HOME": str(tmp_path / "ann"), "OTHER_API_KEY": KEY}
    result = shell(
        "task=evaluate", f"checkpoint={file}", *QUICK, *measured, "metrics.splits=2",
        f"weights_dir={home}/{KEY}", f"data.cache={home}/cache", f"hydra.run.dir={home}/out",
        env=env,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert not tells(home / "out", str(tmp_path), KEY)
    text = (home / "out" / "results.json").read_text()
    assert "checkpoint=~/private/mine.ckpt" in text
    compared = ("task=compare", f"runs={home}/out", f"hydra.run.dir={home}/page", "logger=none")
    result = shell(*compared, env=env)
    assert result.status == 0, result.err
    assert list((home / "page").glob("comparison.html"))
    assert not tells(home / "page", str(tmp_path), KEY)
