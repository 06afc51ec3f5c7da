"""Files of weights are told by how they begin, whatever they are called."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from genzoo.config.paths import zoo_dir
from genzoo.core.errors import GenzooError, UsageError
from genzoo.weights import checkpoint
from genzoo.weights.content import may_hold_weights, read_content
from tests import hostile

NAMES = ("a.safetensors", "A.SAFETENSORS", "a.ckpt", "a.pt", "bare", "blob.123", "a b.zip", ".x")


@pytest.mark.parametrize("written", ["a.ckpt", "a.safetensors"])
@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_under_any_name(tmp_path: Path, written: str, name: str) -> None:
    made = hostile.checkpoint(tmp_path / f"made-{written}", of="clip_16")
    made.rename(tmp_path / name)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / name)
    for word in (tmp_path / name, link):
        found = checkpoint.read(checkpoint.find(str(word), output=tmp_path))
        assert found.config["model"]["name"] == "clip"
        assert found.ema
    assert may_hold_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["old.pt", "old.safetensors", "old"])
def test_files_of_before_torch_16(tmp_path: Path, name: str) -> None:
    state = {"weight": torch.arange(3.0)}
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=False)
    assert torch.equal(read_content(tmp_path / name)["weight"], state["weight"])
    assert may_hold_weights(tmp_path / name)
    said, weights = checkpoint.exported.read(zoo_dir() / "clip_16.safetensors")
    content = {"genzoo": said, "state_dict": {f"ema.model.{k}": v for k, v in weights.items()}}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=False)
    assert checkpoint.read(tmp_path / name).ema.keys() == weights.keys()


@pytest.mark.parametrize("padding", range(0, 256, 8))
def test_every_length_of_a_header(tmp_path: Path, padding: int) -> None:
    """It is written first, and may be any byte: that of a pickle, too."""
    save_file({"w": torch.ones(2)}, tmp_path / "x", metadata={"a": "x" * padding})
    assert torch.equal(read_content(tmp_path / "x")["w"], torch.ones(2))


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["zip", "old", "raw", "numpy"])
def test_no_pickle_is_executed(tmp_path: Path, name: str, way: str) -> None:
    file, made = tmp_path / name, tmp_path / "made"
    evil = {"genzoo": Evil(made)}
    if way == "raw":
        file.write_bytes(pickle.dumps(evil))
    elif way == "numpy":
        with file.open("wb") as opened:
            np.savez(opened, a=np.array([Evil(made)], dtype=object))
    else:
        torch.save(evil, tmp_path / "made.pt", _use_new_zipfile_serialization=way == "zip")
        (tmp_path / "made.pt").rename(file)
    with pytest.raises(GenzooError):
        read_content(file)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"P", b"not a checkpoint", b"PK\x03\x04", b"\x80\x02}.", b"\xff" * 8 + b"{", b"\0" * 99],
)
@pytest.mark.parametrize("name", ["a.ckpt", "a.safetensors"])
def test_what_is_none(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((GenzooError, UsageError)) as error:
        checkpoint.read(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_header_that_is_cut_or_nonsense(tmp_path: Path) -> None:
    whole = (zoo_dir() / "clip_16.safetensors").read_bytes()
    for k, content in enumerate((whole[:1000], whole[:-1000], whole[:8] + b"{" * 5000)):
        file = tmp_path / f"{k}"
        file.write_bytes(content)
        with pytest.raises(GenzooError):
            checkpoint.read(file)


def test_the_last_run_behind_links(tmp_path: Path) -> None:
    outputs, disk = tmp_path / "outputs", tmp_path / "disk"
    run = disk / "day" / "run" / "checkpoints"
    run.mkdir(parents=True)
    shutil.copy(zoo_dir() / "clip_16.safetensors", run / "last.ckpt")
    outputs.mkdir()
    with pytest.raises(UsageError, match="no run with a checkpoint"):
        checkpoint.find("last", output=outputs)
    (outputs / "2026").symlink_to(disk / "day")
    (disk / "day" / "back").symlink_to(outputs)  # in a circle
    (outputs / "dead").symlink_to(tmp_path / "nowhere")
    assert checkpoint.find("last", output=outputs) == (run / "last.ckpt").resolve()
    newer = outputs / "plain" / "checkpoints"
    newer.mkdir(parents=True)
    shutil.copy(run / "last.ckpt", newer / "last.ckpt")
    os.utime(newer / "last.ckpt", (2e9, 2e9))
    assert checkpoint.find("last", output=outputs) == newer / "last.ckpt"
