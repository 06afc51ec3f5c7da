"""A gallery of however many held-out images there are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from genzoo.config.composition import compose
from genzoo.data.dataset import TextImageData
from genzoo.data.shapes import Shapes
from genzoo.run.build import build_model
from genzoo.tasks.gallery import STEPS, write_gallery
from genzoo.text.bpe import BPETokenizer


class Held(Shapes):
    """Shapes of which the first few are held out, and so many are for training."""

    held, trained = 0, 9

    def fingerprint(self) -> str:
        return f"held {self.held} {self.trained} {super().fingerprint()}"

    def items(self) -> list:  # type: ignore[type-arg]
        items = list(super().items())[: self.held + self.trained]
        return [
            replace(item, split="validation" if k < self.held else "train")
            for k, item in enumerate(items)
        ]


@pytest.mark.parametrize(
    ("held", "trained", "rows"),
    [(0, 1, 0), (0, 5, 2), (1, 1, 1), (1, 9, 4), (2, 9, 1), (3, 9, 1), (5, 9, 2), (7, 9, 3),
     (8, 9, 4)],
)  # fmt: skip
def test_every_number_of_held_out_images(
    tmp_path: Path, held: int, trained: int, rows: int
) -> None:
    source = Held(count=20, seed=0, held_out=[])
    source.held, source.trained = held, trained
    data = TextImageData(source, image_size=16, validation=0.0, max_skipped=0.0, cache=tmp_path)
    tokenizer = BPETokenizer.train(data.captions, vocab_size=280, context=32)
    model = build_model(compose("model=vae", "data.image_size=16", "model.widths=[4,4]")).eval()
    folder = tmp_path / "gallery"
    write_gallery(model, data, tokenizer, folder=folder, seed=0, device=torch.device("cpu"))
    content = json.loads((folder / "gallery.json").read_text())
    assert len(content["items"]) == min(held, 8) + min(trained, 8)
    assert (content["interpolation"] is not None) == (rows > 0)
    if rows:
        with Image.open(folder / content["interpolation"]) as picture:
            width, height = picture.size
        assert width == 18 * (STEPS + 2) + 2  # both ends are shown too, 2 px between all
        assert height == 18 * rows + 2
