"""Versions, ways and edits from the command line, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.small import DATA, METRICS, MODEL, TRAINING

Run = Callable[..., tuple[int, str, str]]

FLOW = ("model.arch.levels=1", "model.arch.steps=2", "model.arch.width=8")
FAMILIES = {"vae": MODEL, "flow": FLOW, "autoencoder": MODEL, "gan": ()}


@pytest.fixture
def trained(genzoo: Run, tmp_path: Path) -> Callable[[str], Run]:
    """Trains a family into a folder of its name and writes two pictures, neither square."""
    rng = np.random.default_rng(0)
    for name, shape in (("a", (30, 44, 3)), ("b", (50, 20, 3))):
        smooth = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
        picture = Image.fromarray(smooth).resize(shape[1::-1], Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"{name}.png")

    def train(family: str) -> Run:
        own = (*DATA, *FAMILIES[family], *TRAINING, *METRICS)
        status, _, error = genzoo(f"model={family}", *own, f"hydra.run.dir={family}")
        assert status == 0, error
        return genzoo

    return train


def drawn(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)).astype(int) for file in sorted(folder.glob("0*.png"))]


def error_of(genzoo: Run, *arguments: str) -> str:
    status, _, error = genzoo(*arguments)
    assert status == 2, error
    assert len(error.strip().splitlines()) == 1, error
    return error


@pytest.mark.parametrize("family", ["vae", "flow"])
def test_all_three_commands(family: str, trained: Callable[[str], Run], tmp_path: Path) -> None:
    genzoo = trained(family)
    base = (f"checkpoint={family}", "trainer.gpus=0")

    def run(folder: str, *arguments: str) -> Path:
        status, _, error = genzoo(*base, *arguments, f"hydra.run.dir={folder}")
        assert status == 0, error
        return tmp_path / folder

    # Versions: none at strength 0, the same ones in any batches, samples at strength 1.
    vary = ("task=vary", "image=a.png", "prompt=a red heart")
    still = drawn(run("v0", *vary, "strength=0", "count=2") / "versions")
    assert (still[0] == still[1]).all()
    folder = run("v1", *vary, "count=3") / "versions"
    first = drawn(folder)
    assert len(first) == 3
    assert (first[0] != first[1]).any()
    with Image.open(folder / "00002.png") as image:
        assert image.size == (16, 16)
        assert image.text["caption"] == "a red heart"  # type: ignore[attr-defined]
        assert image.text["strength"] == "0.5"  # type: ignore[attr-defined]
        assert image.text["number"] == "2"  # type: ignore[attr-defined]
        assert image.text["checkpoint"].startswith(f"{family} ")  # type: ignore[attr-defined]
    with Image.open(folder / "grid.png") as grid:
        assert grid.size == (4 * (2 * 18 + 2),) * 2  # the picture and three versions
    again = drawn(run("v2", *vary, "count=3", "batch=2") / "versions")
    assert np.abs(np.stack(first) - np.stack(again)).max() <= 1
    free = drawn(run("v3", *vary, "strength=1", "count=2") / "versions")
    samples = drawn(run("v4", "task=sample", "prompt=a red heart", "count=2") / "samples")
    assert np.abs(np.stack(free) - np.stack(samples)).max() <= 1

    # Between pictures: from the one's reconstruction to the other's.
    way = run("i", "task=interpolate", "image=a.png", "end=b.png", "prompt=a red heart", "steps=4")
    steps = drawn(way / "interpolation")
    assert len(steps) == 4
    assert np.abs(steps[0] - still[0]).max() <= 1
    with Image.open(way / "interpolation" / "strip.png") as strip:
        assert strip.size == (4 * (6 * 18 + 2), 4 * 20)  # with the pictures at its ends
    with Image.open(way / "interpolation" / "00001.png") as image:
        assert image.text["share"] == "0.3333"  # type: ignore[attr-defined]

    # Between captions: from the one's sample to the other's.
    captions = ("prompt=a red heart", "end_prompt=a cat, black")
    way = run("c", "task=interpolate", *captions, "steps=3")
    steps = drawn(way / "interpolation")
    assert np.abs(steps[0] - samples[0]).max() <= 1
    with Image.open(way / "interpolation" / "00002.png") as image:
        assert image.text["end_caption"] == "a cat, black"  # type: ignore[attr-defined]

    # Edits begin with the reconstruction.
    edit = run("t", "task=textdiff", "image=a.png", "source=a red heart", "target=a dog, brown")
    steps = drawn(edit / "textdiff")
    assert len(steps) == 7
    assert np.abs(steps[0] - still[0]).max() <= 1
    with Image.open(edit / "textdiff" / "strip.png") as strip:
        assert strip.size == (4 * (8 * 18 + 2), 4 * 20)

    message = error_of(genzoo, *base, *vary, "strength=1.5")
    assert "strength=1.5" in message
    assert "0 to 1" in message
    assert "a whole number from 2" in error_of(
        genzoo, *base, "task=interpolate", *captions, "steps=1"
    )
    assert "a whole number above 0" in error_of(genzoo, *base, *vary, "count=0")
    assert "nowhere.png" in error_of(genzoo, *base, "task=vary", "image=nowhere.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png" in error_of(genzoo, *base, "task=vary", "image=text.png")


def test_a_family_without_captions(trained: Callable[[str], Run], tmp_path: Path) -> None:
    genzoo = trained("autoencoder")
    own = ("checkpoint=autoencoder", "trainer.gpus=0", "image=a.png")
    for arguments in (("task=vary",), ("task=interpolate", "end=b.png")):
        status, _, error = genzoo(*own, *arguments)
        assert status == 0, error
    assert "leave prompt= away" in error_of(genzoo, *own, "task=vary", "prompt=a cat")
    message = error_of(genzoo, *own, "task=textdiff", "source=a cat", "target=a dog")
    assert "model=autoencoder cannot edit an image by captions" in message
    assert "model=vae" in message


def test_a_family_without_an_encoder(trained: Callable[[str], Run]) -> None:
    genzoo = trained("gan")
    own = ("checkpoint=gan", "trainer.gpus=0")
    captions = ("prompt=a red heart", "end_prompt=a blue heart")
    status, _, error = genzoo(*own, "task=interpolate", *captions)
    assert status == 0, error
    for arguments in (("task=vary", "image=a.png"),
                      ("task=interpolate", "image=a.png", "end=b.png"),
                      ("task=textdiff", "image=a.png", "source=a", "target=b")):  # fmt: skip
        message = error_of(genzoo, *own, *arguments)
        assert "model=gan cannot" in message
        assert "model=vae" in message


MISTAKES = [
    (["task=vary", "model=vae"], ["needs image=", "give image="]),
    (
        ["task=vary", "model=gan", "image=a.png"],
        ["model=gan cannot", "model=flow, model=unclip, model=vae"],
    ),
    (["task=vary", "model=glide", "image=a.png"], ["model=glide cannot"]),
    (["task=vary", "model=clip", "image=a.png"], ["model=clip cannot"]),
    (["task=interpolate", "model=vae"], ["two images or two captions", "image=a.png end=b.png"]),
    (["task=interpolate", "model=vae", "image=a.png"], ["needs end="]),
    (["task=interpolate", "model=vae", "prompt=a"], ["needs end_prompt="]),
    (["task=textdiff", "model=flow", "image=a.png", "source=a"], ["needs target="]),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda v: str(v)[:60])
def test_a_mistake_is_one_clear_line(genzoo: Run, arguments: list[str], words: list[str]) -> None:
    message = error_of(genzoo, *arguments)
    for word in words:
        assert word in message
