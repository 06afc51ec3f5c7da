"""Pictures, masks and captions that a person hands over: what is wrong with them is one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.shell import Result
from tests.small import SMALL

Shell = Callable[..., Result]
BASE = ("trainer.gpus=0", "logger=none")
INPAINT = (*BASE, "task=inpaint", "checkpoint=zoo/glide", "prompt=a red heart", "count=1")


def one_line(result: Result, *words: str, status: int = 2) -> None:
    lines = [line for line in result.err.splitlines() if line.strip()]
    assert len(lines) == 1, result
    assert lines[0].startswith("genzoo: ")
    assert result.status == status
    for word in words:
        assert word in lines[0]


def picture(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (32, 48), dtype="u2")
    Image.fromarray(values).save(path)


def test_a_16_bit_picture_keeps_what_a_mask_on_clear_ground_leaves(
    shell: Shell, tmp_path: Path
) -> None:
    """Before, both were clipped: the picture to white, the mask to redraw everything."""
    picture(tmp_path / "a.png")
    mask = Image.new("RGBA", (48, 32), (0, 0, 0, 0))
    mask.paste((0, 0, 0, 255), (8, 8, 20, 20))
    mask.save(tmp_path / "m.png")
    result = shell(*INPAINT, "image=a.png", "mask=m.png", "hydra.run.dir=out",
                   "sampler=ddim", "sampler.steps=2")  # fmt: skip
    assert result.status == 0, result
    assert "9.38% of a.png is sampled anew" in result.out
    before = np.asarray(Image.open(tmp_path / "a.png")).astype(float) / 257
    after = np.asarray(Image.open(tmp_path / "out/inpainted/00000.png")).astype(float)
    kept = np.ones((32, 48), dtype=bool)
    kept[8:20, 8:20] = False
    assert np.abs(after - before[..., None])[kept].max() <= 0.5
    assert np.abs(after - before[..., None])[~kept].max() > 20


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "pipe": (os.mkfifo, "no plain file"),
    "empty": (lambda path: path.touch(), "cannot be decoded"),
    "text": (lambda path: path.write_text("a cat"), "cannot be decoded"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("key", ["image", "mask"])
def test_what_is_no_picture(shell: Shell, tmp_path: Path, wrong: str, key: str) -> None:
    make, reason = WRONG[wrong]
    picture(tmp_path / "other.png")
    make(tmp_path / "wrong.png")
    given = {"image": "other.png", "mask": "other.png", key: "wrong.png"}
    result = shell(*INPAINT, *(f"{name}={file}" for name, file in given.items()), timeout=120)
    one_line(result, "cannot read wrong.png", reason)


@pytest.mark.parametrize("task", [("task=vary",), ("task=textdiff", "source=a", "target=b")])
@pytest.mark.parametrize("wrong", ["missing", "folder", "pipe"])
def test_other_commands_say_the_same(
    shell: Shell, tmp_path: Path, task: tuple[str, ...], wrong: str
) -> None:
    make, reason = WRONG[wrong]
    make(tmp_path / "wrong.png")
    result = shell(*BASE, *task, "checkpoint=zoo/unclip_16", "image=wrong.png", timeout=120)
    one_line(result, "cannot read wrong.png", reason)


def test_masks_that_do_not_fit_or_ask_for_nothing(shell: Shell, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    Image.new("1", (48, 31), 1).save(tmp_path / "short.png")
    Image.new("RGBA", (48, 32)).save(tmp_path / "clear.png")
    one_line(
        shell(*INPAINT, "image=a.png", "mask=short.png"),
        "the mask has 48 x 31 pixels and the image 48 x 32",
    )
    one_line(shell(*INPAINT, "image=a.png", "mask=clear.png"), "painted on transparent ground")


SAMPLE = (*BASE, "task=sample", "checkpoint=zoo/unclip_16", "count=2", "model.prior.draws=1",
          "sampler=ddim", "sampler.steps=2")  # fmt: skip


def test_long_captions_are_said_and_recorded(shell: Shell, tmp_path: Path) -> None:
    long = " ".join(["red heart"] * 60)
    (tmp_path / "captions.txt").write_bytes(f"{long}\r\n\r\na cat\r\na dog".encode("utf-16"))
    result = shell(*SAMPLE, "prompt=captions.txt", "hydra.run.dir=out")
    assert result.status == 0, result
    assert "prompt= reads 3 captions from captions.txt" in result.out
    assert "count=2 samples the first 2 of 3 captions" in result.out
    assert result.out.count("prompt: 1 of 2 captions are longer than the") == 1
    texts = [Image.open(tmp_path / f"out/samples/0000{k}.png").text for k in (0, 1)]  # type: ignore[attr-defined]
    assert [text["caption"] for text in texts] == [long, "a cat"]
    assert int(texts[0]["prompt_tokens_cut"]) > 20
    assert texts[1]["prompt_tokens_cut"] == "0"


def test_what_ends_in_txt(shell: Shell, tmp_path: Path) -> None:
    one_line(shell(*SAMPLE, "prompt=prompts.txt"), "prompt=prompts.txt", "there is none")
    result = shell(*SAMPLE, "prompt=reads readme.txt", "hydra.run.dir=out")
    assert result.status == 0, result
    assert Image.open(tmp_path / "out/samples/00000.png").text["caption"] == "reads readme.txt"  # type: ignore[attr-defined]
    os.mkfifo(tmp_path / "pipe.txt")
    one_line(shell(*SAMPLE, "prompt=pipe.txt", timeout=120), "pipe.txt", "no plain file")
    (tmp_path / "two.txt").write_text("a\nb\n")
    picture(tmp_path / "a.png")
    vary = (*BASE, "task=vary", "checkpoint=zoo/unclip_16", "image=a.png", "prompt=two.txt")
    one_line(shell(*vary), "two.txt has 2 captions, and prompt= takes one")


def test_training_says_and_records_how_many_captions_it_cuts(shell: Shell, tmp_path: Path) -> None:
    result = shell("model=vae", *SMALL, "text.context=3", "hydra.run.dir=a")
    assert result.status == 0, result
    assert result.out.count("are longer than the 3 tokens that are read, and cut by up to") == 1
    found = json.loads((tmp_path / "a/results.json").read_text())["captions"]
    assert found["tokens"] == 3
    assert 0 < found["cut_share"] < 1
    assert found["most_tokens_cut"] > 0
