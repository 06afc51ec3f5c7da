"""A further released format is one object in a list: nothing else has to know it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from genzoo.config.composition import compose
from genzoo.config.objects import build
from genzoo.config.values import plain
from genzoo.text.bpe import BPETokenizer
from genzoo.weights import checkpoint, released

Run = Callable[..., tuple[int, str, str]]
TYPED = ("model=autoencoder", "data.image_size=16", "model.latent=8", "model.widths=[8,16]")


class Foreign:
    """Files of another program: an autoencoder's weights by names with a prefix."""

    FAMILY, TITLE = "autoencoder", "a foreign autoencoder"

    def __init__(self, file: Path) -> None:
        self.file = file

    def claims(self, word: str) -> bool:
        return word == "foreign"

    def locate(self, word: str, **_: Any) -> Path:
        return self.file

    def second_stage(self, word: str, **_: Any) -> Path | None:
        return None

    def detects(self, content: object) -> bool:
        return isinstance(content, dict) and all(str(k).startswith("theirs.") for k in content)

    def about_of(self, content: object, path: Path) -> dict[str, Any]:
        tokenizer = BPETokenizer.train(["a red heart"], vocab_size=258, context=8)
        return {
            "config": plain(compose(*TYPED)), "origin": "foreign/weights",
            "tokenizer": tokenizer.to_json(), "images_seen": 0, "seconds": 0.0, "version": "none",
        }  # fmt: skip

    def weights_of(self, content: object, path: Path) -> dict[str, Tensor]:
        assert isinstance(content, dict)
        return {k.removeprefix("theirs."): v for k, v in content.items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = build(plain(compose(*TYPED))["model"])
    state = {f"theirs.{name}": value for name, value in model.state_dict().items()}
    torch.save(state, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


DRAW = ("task=sample", "count=1", 'prompt="a"', "trainer.gpus=0")


def test_it_is_read_and_named_by_its_word(
    genzoo: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The null model first: what nobody knows is refused."""
    status, _, error = genzoo(*DRAW, f"checkpoint={file}")
    assert status == 2
    assert "neither a genzoo checkpoint nor weights of OpenAI's GLIDE or its CLIP" in error
    monkeypatch.setattr(released, "FORMATS", (*released.FORMATS, Foreign(file)))
    read = checkpoint.read(file)
    assert read.released
    assert read.origin == "foreign/weights"
    for word, folder in ((str(file), "by_file"), ("foreign", "by_word")):
        status, _, error = genzoo(*DRAW, f"checkpoint={word}", f"hydra.run.dir={folder}")
        assert status == 0, error
    pixels = [
        Image.open(tmp_path / name / "samples" / "00000.png").tobytes()
        for name in ("by_file", "by_word")
    ]
    assert pixels[0] == pixels[1]


def test_a_word_of_several_formats_wants_a_family(genzoo: Run) -> None:
    status, _, error = genzoo(*DRAW, "checkpoint=openai", "model=vae")
    assert status == 2
    assert "there is no released model=vae for checkpoint=openai" in error
    assert "write model=glide or model=clip checkpoint=openai" in error
