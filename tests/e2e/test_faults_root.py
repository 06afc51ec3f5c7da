"""A checkpoint whose data lie somewhere else now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.hostile import checkpoint
from tests.shell import Result

FOLDER = "genzoo.data.folder.Folder"


def pictures(folder: Path, caption: str) -> Path:
    folder.mkdir()
    for k in range(20):
        Image.fromarray(np.full((16, 16, 3), k * 9, np.uint8)).save(folder / f"{k}.png")
        (folder / f"{k}.txt").write_text(caption)
    return folder


def test_a_typed_root_is_read_and_recorded(shell: Callable[..., Result], tmp_path: Path) -> None:
    old, new = pictures(tmp_path / "old", "an old one"), pictures(tmp_path / "new", "a new one")
    source = {"_target_": FOLDER, "root": str(old), "max_pixels": 1000}
    file = checkpoint(tmp_path / "a.ckpt", data__root=str(old), data__source=source)
    draw = (
        "task=sample", f"checkpoint={file}", "count=1", "sampler=ddim", "sampler.steps=2",
        "trainer.gpus=0", "logger=none",
    )  # fmt: skip
    for own, word, root in (((), "an old one", old), ((f"data.root={new}",), "a new one", new)):
        result = shell(*draw, *own, f"hydra.run.dir=run-{word.split()[1]}")
        assert result.status == 0, result.err
        out = tmp_path / f"run-{word.split()[1]}"
        with Image.open(out / "samples" / "00000.png") as picture:
            assert picture.text["caption"] == word  # type: ignore[attr-defined]
        data = yaml.safe_load((out / "config.yaml").read_text())["data"]
        assert data["root"] == data["source"]["root"] == str(root)
    old.rename(tmp_path / "gone")
    result = shell(*draw, "hydra.run.dir=third")
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert "data.root=<folder>" in result.err
    assert shell(*draw, f"data.root={tmp_path / 'gone'}", "hydra.run.dir=fourth").status == 0
