"""Very few images: trained on, measured as far as it goes, and what cannot be is said first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.shell import Result
from tests.small import AGAIN, TRAINING

Shell = Callable[..., Result]

NETWORKS = ("model.unet.channels=8", "model.unet.multipliers=[1,1]", "sampler.steps=2")
FAMILIES: dict[str, tuple[str, ...]] = {
    "vae": ("model.widths=[8,16]", "model.latent=8"),
    "autoencoder": ("model.widths=[8,16]", "model.latent=8"),
    "gan": (
        "model.generator.widths=[8,16]", "model.discriminator.widths=[8,16]",
        "model.latent=8", "model.features=16",
    ),
    "flow": ("model/arch=tarflow",),
    "diffusion": ("sampler=ddim", "sampler.steps=2"),
    "glide": ("sampler=ddim", "sampler.steps=2", "model.size=tiny"),
    "clip": ("model.image.layers=1", "model.text.layers=1"),
}  # fmt: skip
COMMON = (*TRAINING, "trainer.monitor_images=32", "trainer.validation_images=8", "metrics.batch=8",
          "metrics.images=10", "data=folder", "data.root=images", "data.image_size=16",
          "budget.images=64", "text.vocab_size=280", "text.context=8")  # fmt: skip


def images(folder: Path, count: int) -> None:
    folder.mkdir()
    pixels = np.random.default_rng(0)
    for k in range(count):
        picture = pixels.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{k}.png")
        (folder / f"{k}.txt").write_text(f"picture number {k}")


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


@pytest.mark.parametrize(
    ("family", "count"),
    [(name, count) for name in FAMILIES for count in (1, 3) if (name, count) != ("clip", 1)],
)
def test_few_images_are_trained_on_and_measured(
    shell: Shell, tmp_path: Path, family: str, count: int
) -> None:
    images(tmp_path / "images", count)
    run = shell(f"model={family}", *FAMILIES[family], *COMMON, "hydra.run.dir=a")
    assert run.status == 0, run.err
    assert run.err == ""
    assert results(tmp_path / "a")["training"]["images_seen"] == 64
    metrics = results(tmp_path / "a")["metrics"]
    assert all(np.isfinite(entry["value"]) for entry in metrics.values()), metrics
    if family == "clip":
        return
    assert (tmp_path / "a" / "gallery" / "gallery.json").exists()
    said = run.out.partition("parameters;")[0]  # before the training
    assert "not measured: " in said
    left_out = [line for line in said.splitlines() if "not measured: " in line]
    (missing,) = (line for line in left_out if " real image" in line)
    for name in ("precision", "recall", "density", "coverage"):
        assert name in missing
        assert f"{name}/efficientnet_lite0" not in metrics
    assert ("frechet_distance" in missing) == (count == 1)
    assert ("frechet_distance/efficientnet_lite0" in metrics) == (count > 1)
    compared = shell("task=compare", "runs=a", "logger=none", "hydra.run.dir=c")
    assert compared.status == 0, compared.err


def test_a_clip_has_nothing_to_tell_one_image_from(shell: Shell, tmp_path: Path) -> None:
    images(tmp_path / "images", 1)
    run = shell("model=clip", *FAMILIES["clip"], *COMMON, "hydra.run.dir=a")
    assert run.status == 2
    assert run.err.startswith("genzoo: all captions are alike")
    assert len(run.err.splitlines()) == 1


@pytest.mark.parametrize("count", [2, 5, 7, 8, 20])
def test_however_many_are_held_out(shell: Shell, tmp_path: Path, count: int) -> None:
    """Half of the images: 1, 2, 3 ... of them; then none."""
    images(tmp_path / "images", count)
    vae = ("model=vae", *FAMILIES["vae"], *COMMON)
    run = shell(*vae, "data.validation=0.5", "hydra.run.dir=a")
    assert run.status == 0, run.err
    assert (tmp_path / "a" / "gallery" / "gallery.json").exists()
    assert "bits_per_dim" in results(tmp_path / "a")["metrics"]
    run = shell(*vae, "data.validation=0", "hydra.run.dir=b")
    assert run.status == 0, run.err
    assert "not measured: bits_per_dim, reconstruction_psnr (no held-out images)" in run.out
    assert "bits_per_dim" not in results(tmp_path / "b")["metrics"]
    points = (tmp_path / "b" / "curves.jsonl").read_text()
    assert "validation/total" not in points
    assert "train/total" in points
    again = shell("task=evaluate", "checkpoint=b", *AGAIN, "metrics.images=10", "hydra.run.dir=e")
    assert again.status == 0, again.err


REFUSED = [
    (["metrics.extractors=[nonsense]"], ["nonsense", "efficientnet_lite0"]),
    (["metrics.real_split=nowhere"], ["metrics.real_split=nowhere", "train"]),
    (["metrics.caption_split=validation", "data.validation=0"], ["has no images", "train"]),
    (["metrics.images=5"], ["metrics.images=5", "metrics.images=10"]),
    (["metrics=domain"], ["no classes", "metrics=default"]),
    (["metrics.weights.efficientnet_lite0=nowhere"], ["nowhere", "no such file"]),
    (["metrics.weights.efficientnet_lite0=images/0.png"], ["images/0.png"]),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=lambda v: str(v)[:50])
def test_what_cannot_be_measured_is_refused_before_the_training(
    shell: Shell, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    images(tmp_path / "images", 12)
    run = shell("model=vae", *FAMILIES["vae"], *COMMON, *arguments, "hydra.run.dir=a")
    assert run.status in (1, 2)
    lines = run.err.splitlines()
    assert len(lines) == 1, run.err
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]
    assert not (tmp_path / "a" / "checkpoints").exists()
    assert "parameters;" not in run.out  # nothing was trained


def test_pictures_that_fail_cost_no_results(
    genzoo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no paint\nleft")

    monkeypatch.setattr("genzoo.tasks.evaluate.write_gallery", broken)
    images(tmp_path / "images", 12)
    status, out, error = genzoo("model=vae", *FAMILIES["vae"], *COMMON, "hydra.run.dir=a")
    assert (status, error) == (0, "")
    assert "the gallery could not be made (RuntimeError: no paint left)" in out
    assert results(tmp_path / "a")["metrics"]
