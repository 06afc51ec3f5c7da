"""task=export: one small file that draws, inpaints and is trained on like any checkpoint."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from genzoo.core.errors import GenzooError
from genzoo.weights import checkpoint
from genzoo.weights import exported as file_format
from tests.small import AGAIN, DATA, METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]

GLIDE = ("model=glide", "model.size=tiny", "model.inpaint=true", "model.unet.width=8")
GLIDE += ("model.unet.head_channels=8", "sampler.steps=2", "model.likelihood_steps=2")


@pytest.fixture
def exported(genzoo: Run) -> Run:
    """A run in `base` and its export as small.safetensors."""
    own = (*GLIDE, *DATA, *TRAINING, *METRICS, "budget.images=32", "hydra.run.dir=base")
    status, _, error = genzoo(*own)
    assert status == 0, error
    status, _, error = genzoo("task=export", "checkpoint=base", "file=small.safetensors")
    assert status == 0, error
    return genzoo


def test_an_exported_model_is_a_checkpoint(exported: Run, tmp_path: Path) -> None:
    run = checkpoint.read(tmp_path / "base" / "checkpoints" / "last.ckpt")
    file = tmp_path / "small.safetensors"
    small = checkpoint.read(file)
    assert not small.weights
    assert small.about["images_seen"] == run.about["images_seen"] == 32
    assert set(small.config) < set(run.config)
    for name, value in run.ema.items():
        torch.testing.assert_close(small.ema[name], value, rtol=1e-3, atol=1e-6)
    with safe_open(file, "pt") as tensors:
        assert {tensors.get_tensor(name).dtype for name in tensors.keys()} == {torch.float16}  # noqa: SIM118
        assert str(tmp_path) not in tensors.metadata()["genzoo"]
    card = (tmp_path / "small.md").read_text()
    results = json.loads((tmp_path / "base" / "results.json").read_text())
    for part in ("CC BY-SA 4.0", "frechet_distance", results["command"], "| images seen | 32 |"):
        assert part in card

    own = ("checkpoint=small.safetensors", "prompt=a red heart", "count=1")
    status, _, error = exported("task=sample", *own, "hydra.run.dir=drawn")
    assert status == 0, error
    assert (tmp_path / "drawn" / "samples" / "00000.png").exists()
    for name, value in (("image", 0), ("mask", 255)):
        Image.fromarray(np.full((20, 20, 3), value, np.uint8)).save(tmp_path / f"{name}.png")
    status, _, error = exported("task=inpaint", *own, "image=image.png", "mask=mask.png")
    assert status == 0, error


def test_training_begins_with_its_weights(exported: Run, tmp_path: Path) -> None:
    status, out, error = exported(
        "checkpoint=small.safetensors", *AGAIN, "budget.images=16", "optimizer.lr=0.0",
        "hydra.run.dir=tuned",
    )  # fmt: skip
    assert status == 0, error
    assert "a new training from the weights" in out
    tuned = checkpoint.read(tmp_path / "tuned" / "checkpoints" / "last.ckpt")
    assert tuned.about["images_seen"] == 16
    for name, value in checkpoint.read(tmp_path / "small.safetensors").ema.items():
        torch.testing.assert_close(tuned.weights[name], value)


def test_what_is_no_export(exported: Run, tmp_path: Path) -> None:
    status, _, error = exported("task=export", "checkpoint=base", "file=small.ckpt")
    assert status == 2
    assert "safetensors" in error
    content = (tmp_path / "small.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    for wrong, status, word in (
        ("cut.safetensors", 1, "damaged or truncated"),
        ("zoo/nothing_of_this_name", 2, "no checkpoint zoo/nothing_of_this_name"),
        ("zoo/../small", 2, "no checkpoint zoo/../small"),
    ):
        found, _, error = exported("task=sample", f"checkpoint={wrong}", "prompt=x")
        assert found == status
        assert word in error
        assert len(error.splitlines()) == 1


def test_tuning_on_other_data(exported: Run, tmp_path: Path) -> None:
    shapes = ("checkpoint=small.safetensors", "data=shapes", "data.source.count=60", *AGAIN)
    status, _, error = exported(*shapes, "budget.images=16", "hydra.run.dir=tuned")
    assert status == 0, error
    tuned = checkpoint.read(tmp_path / "tuned" / "checkpoints" / "last.ckpt")
    assert tuned.config["data"]["image_size"] == 16  # the model's
    assert tuned.origin == "small.safetensors"
    results = json.loads((tmp_path / "tuned" / "results.json").read_text())
    assert results["model"]["origin"] == "small.safetensors"
    assert exported("task=export", "checkpoint=tuned", "file=again.safetensors")[0] == 0
    assert "| began with | small.safetensors |" in (tmp_path / "again.md").read_text()
    for wrong, word in (
        ("data.image_size=32", "16 px"),
        ("model/process=edm", "model.process"),
        ("model.size=small", "model.size"),
    ):
        status, _, error = exported(*shapes, wrong)
        assert status == 2
        assert word in error
        assert len(error.splitlines()) == 1


def test_a_classifier_stays_behind(tmp_path: Path) -> None:
    about = {
        "config": {
            "data": {"name": "folder", "root": "/a", "source": {"root": "/a", "max_pixels": 5}},
            "guidance": {"name": "classifier", "checkpoint": "/a/last.ckpt"},
        },
        "tokenizer": "{}",
    }
    file_format.write(tmp_path / "a.safetensors", about, {"w": torch.ones(2)})
    said, _ = file_format.read(tmp_path / "a.safetensors")
    assert said is not None
    source = {"root": None, "max_pixels": 5}
    assert said["config"]["data"] == {"name": "folder", "root": None, "source": source}
    assert said["config"]["guidance"] == {"name": "none"}
    assert said["tokenizer"] == "{}"


@pytest.mark.parametrize("damage", ["cut", "letters", "bomb", "missing"])
def test_a_damaged_tokenizer_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zlib.compress(b"{}" * 600)
    if damage == "cut":
        packed = packed[:-3]
    if damage == "bomb":
        monkeypatch.setattr(file_format, "LARGEST", 1000)
    text = "no base64" if damage == "letters" else base64.b64encode(packed).decode()
    entries = {file_format.ENTRY: json.dumps({"config": {}}), file_format.TOKENIZER: text}
    if damage == "missing":
        del entries[file_format.TOKENIZER]
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", metadata=entries)
    with pytest.raises(GenzooError, match="damaged or truncated"):
        checkpoint.read(tmp_path / "a.safetensors")
