"""Calls of several models: one that guides, one that upsamples, and two calls at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import Model
from genzoo.config.composition import compose
from genzoo.config.paths import zoo_dir
from genzoo.config.values import plain
from genzoo.models.base import GenerativeModel
from genzoo.run.build import build_model
from genzoo.weights import exported
from genzoo.weights.checkpoint import read
from tests.shell import Result

Shell = Callable[..., Result]


def written(folder: Path) -> torch.Tensor:
    files = sorted(folder.glob("0*.png"))
    return torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files]).movedim(
        -1, 1
    )


@pytest.fixture(scope="module")
def base() -> Model:
    return genzoo.load("zoo/glide_16", device="cpu")


@pytest.fixture(scope="module")
def upsampler_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 16 to 32 px, with random weights."""
    cfg = compose(
        "model=glide", "model.size=tiny", "model.unet.width=8", "model.unet.head_channels=8",
        "model.stage=upsample", "model.low_size=16", "data.image_size=32",
    )  # fmt: skip
    about = read(zoo_dir() / "glide_16.safetensors").about
    file = tmp_path_factory.mktemp("upsampler") / "up.safetensors"
    model: GenerativeModel = build_model(cfg)
    weights = model.state_dict()
    generator = torch.Generator().manual_seed(0)
    shaken = {k: v + 0.05 * torch.randn(v.shape, generator=generator) for k, v in weights.items()}
    exported.write(file, {**about, "config": plain(cfg)}, shaken)
    return file


def test_a_clip_guides_as_in_the_command(shell: Shell, tmp_path: Path, base: Model) -> None:
    ended = shell(
        "task=sample", "checkpoint=zoo/glide_16", "prompt=a red heart", "count=2", "seed=5",
        "sampler=dpm_solver", "sampler.steps=3", "guidance=classifier", "guidance.scale=4",
        "guidance.checkpoint=zoo/clip_16", "trainer.gpus=0", "hydra.run.dir=out",
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    clip = genzoo.load("zoo/clip_16", device="cpu")
    asked = {"count": 2, "seed": 5, "sampler": "dpm_solver", "steps": 3}
    found = base.sample_tensor("a red heart", scorer=clip, guidance=4.0, **asked)  # type: ignore[arg-type]
    assert torch.equal(found, written(tmp_path / "out" / "samples"))
    assert not torch.equal(found, base.sample_tensor("a red heart", guidance=1.0, **asked))  # type: ignore[arg-type]


def test_an_upsampler_enlarges_as_in_the_command(
    shell: Shell, tmp_path: Path, base: Model, upsampler_file: Path
) -> None:
    ended = shell(
        "task=sample", "checkpoint=zoo/glide_16", "prompt=a red heart", "count=2", "seed=5",
        "sampler=dpm_solver", "sampler.steps=3", "trainer.gpus=0", "hydra.run.dir=out",
        f"upsampler={upsampler_file}", "upsampler_steps=3",
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    found = base.sample_tensor(
        "a red heart", count=2, seed=5, sampler="dpm_solver", steps=3,
        upsampler=genzoo.load(upsampler_file, device="cpu"), upsampler_steps=3,
    )  # fmt: skip
    assert found.shape == (2, 3, 32, 32)
    assert torch.equal(found, written(tmp_path / "out" / "samples"))
    assert not torch.equal(found[0], found[1])


def test_other_models_than_are_wanted(base: Model, upsampler_file: Path) -> None:
    up = genzoo.load(upsampler_file, device="cpu")
    for call, said in (
        (lambda: base.sample("a", upsampler=base), "is no upsampler"),
        (lambda: up.sample("a"), "upsampler=this"),
        (lambda: up.sample("a", upsampler=up), "upsampler=this"),
        (lambda: base.sample("a", scorer=base), "scores no images"),
        (lambda: base.sample("a", scorer="zoo/clip_16"), "scorer= is a str"),
        (lambda: base.sample("a", upsampler=up, upsampler_steps="x"), "upsampler_steps='x'"),
    ):
        with pytest.raises(genzoo.UsageError, match=said):
            call()


def test_calls_share_nothing_but_weights() -> None:
    model = genzoo.load("zoo/unclip_16", device="cpu")
    decoder = model._network.decoder
    assert isinstance(decoder, torch.nn.Module)
    before = decoder.sampler
    kept = replace(before)  # type: ignore[type-var]
    calls = [{"steps": 3, "sampler": "ddim"}, {"steps": 5, "sampler": "dpm_solver"}]
    alone = [model.sample_tensor("a dog", **call) for call in calls]  # type: ignore[arg-type]
    model.interpolate("a dog", "a cat", count=2)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda call: model.sample_tensor("a dog", **call), calls))
    assert decoder.sampler is before
    assert before == kept
    assert all(torch.equal(one, alone[k]) for k, one in enumerate(found))


def test_a_scorer_guides_variations_towards_a_caption_alone() -> None:
    model = genzoo.load("zoo/unclip_16", device="cpu")
    clip = genzoo.load("zoo/clip_16", device="cpu")
    with pytest.raises(genzoo.UsageError, match="give caption="):
        model.vary(np.zeros((16, 16, 3), np.uint8), scorer=clip)
