"""The models that come with genzoo: their size, their cards, and that they draw what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from genzoo.config.paths import zoo_dir

Run = Callable[..., tuple[int, str, str]]

FILES = sorted(zoo_dir().glob("*.safetensors"))
ONE, ALL = 4_000_000, 20_000_000  # bytes


def _texts(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for value in node.values() for text in _texts(value)]
    return [node] if isinstance(node, str) else []


def test_the_zoo_is_small() -> None:
    sizes = [file.stat().st_size for file in FILES]
    assert max(sizes) <= ONE
    assert sum(sizes) <= ALL


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_model_has_its_card_and_draws(file: Path, genzoo: Run, tmp_path: Path) -> None:
    with safe_open(file, "pt") as content:
        about = json.loads(content.metadata()["genzoo"])
    texts = [text for text in _texts(about["config"]) if text.startswith("/")]
    assert not texts  # no path of the machine that trained it
    card = file.with_suffix(".md").read_text()
    draws = about["config"]["model"]["name"] != "clip"
    metric = "frechet_distance" if draws else "recall_at_1"
    said = ("CC BY-SA 4.0", "training time", "images seen", "experiment=zoo", metric)
    for part in said:
        assert part in card
    if not draws:
        return
    own = (f"checkpoint=zoo/{file.stem}", "prompt=a red heart", "count=2", "trainer.gpus=0")
    status, _, error = genzoo("task=sample", *own, "hydra.run.dir=drawn")
    assert status == 0, error
    with Image.open(tmp_path / "drawn" / "samples" / "00000.png") as image:
        assert np.asarray(image).std() > 10


def test_glide_draws_hearts_of_the_colour_that_is_asked_for(genzoo: Run, tmp_path: Path) -> None:
    means = {}
    for colour in ("red", "blue"):
        own = ("task=sample", "checkpoint=zoo/glide", f"prompt=a {colour} heart", "count=4")
        status, _, error = genzoo(*own, "trainer.gpus=0", f"hydra.run.dir={colour}")
        assert status == 0, error
        files = sorted((tmp_path / colour / "samples").glob("0*.png"))
        pixels = np.stack([np.asarray(Image.open(file)) for file in files]).astype(float)
        means[colour] = pixels.mean((0, 1, 2))
    red, _, blue = range(3)
    assert means["red"][red] > means["red"][blue] + 20
    assert means["blue"][blue] > means["blue"][red] + 20


def test_inpainting_works_on_glide(genzoo: Run, tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 255, np.uint8)
    picture[:, :8] = (0, 128, 0)
    mask = np.zeros((48, 64), np.uint8)
    mask[8:40, 20:52] = 255
    Image.fromarray(picture).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    own = ("task=inpaint", "checkpoint=zoo/glide", "image=image.png", "mask=mask.png")
    own += ("prompt=a red heart", "count=1", "trainer.gpus=0")
    status, _, error = genzoo(*own, "hydra.run.dir=redrawn")
    assert status == 0, error
    with Image.open(tmp_path / "redrawn" / "inpainted" / "00000.png") as image:
        found = np.asarray(image)
    assert (found[mask == 0] == picture[mask == 0]).all()
    inside = found[mask > 0].astype(float)
    assert inside[:, 0].mean() > inside[:, 2].mean() + 10  # something red
