"""`genzoo.load`: the same pictures as the command line's, and nothing touched besides."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import Model
from tests.shell import Result
from tests.small import SMALL

Shell = Callable[..., Result]
CAPTIONS = ("a red heart", "a dog", "a blue star")


@pytest.fixture(scope="module")
def diffusion() -> Model:
    return genzoo.load("zoo/diffusion_16", device="cpu")


def pixels(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def written(folder: Path) -> np.ndarray:
    return pixels([Image.open(file) for file in sorted(folder.glob("0*.png"))])


def test_the_pictures_of_a_diffusion_model_are_those_of_the_command(
    shell: Shell, tmp_path: Path, diffusion: Model
) -> None:
    (tmp_path / "words.txt").write_text("\n".join(CAPTIONS))
    ended = shell(
        "task=sample", "checkpoint=zoo/diffusion_16", "prompt=words.txt", "count=3", "seed=5",
        "sampler.steps=4", "guidance=classifier_free", "guidance.scale=2", "trainer.gpus=0",
        "hydra.run.dir=drawn",
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    drawn = diffusion.sample(CAPTIONS, seed=5, steps=4, guidance=2.0)
    assert np.array_equal(pixels(drawn), written(tmp_path / "drawn" / "samples"))
    assert drawn[0].size == (16, 16)


def test_the_pictures_of_a_vae_are_those_of_the_command(shell: Shell, tmp_path: Path) -> None:
    shell("model=vae", *SMALL, "hydra.run.dir=vae")
    ended = shell(
        "task=sample", "checkpoint=vae", "prompt=a dog", "count=3", "seed=2", "trainer.gpus=0",
        "hydra.run.dir=drawn",
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    model = genzoo.load(tmp_path / "vae", device="cpu")
    drawn = model.sample("a dog", count=3, seed=2)
    assert np.array_equal(pixels(drawn), written(tmp_path / "drawn" / "samples"))
    with pytest.raises(genzoo.Unsupported, match="in one step"):
        model.sample("a dog", steps=4)


def test_the_same_call_gives_the_same_pictures_whatever_came_before(diffusion: Model) -> None:
    first = diffusion.sample_tensor(CAPTIONS, seed=3, steps=2)
    diffusion.sample_tensor("other", seed=4, steps=3, sampler="ddim", guidance=1.5)
    torch.rand(7)
    again = diffusion.sample_tensor(CAPTIONS, seed=3, steps=2, batch=2)
    assert first.shape == (3, 3, 16, 16)
    assert first.dtype == torch.uint8
    assert torch.equal(first[0], diffusion.sample_tensor(CAPTIONS[0], seed=3, steps=2)[0])
    assert (first.int() - again.int()).abs().max() <= 1
    assert not torch.equal(first, diffusion.sample_tensor(CAPTIONS, seed=4, steps=2))


def test_nothing_is_said_written_or_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from hydra.core.global_hydra import GlobalHydra

    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    genzoo.load("zoo/glide_16").sample("a dog", steps=2)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1][1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    assert not GlobalHydra.instance().is_initialized()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_model_says_what_it_is(diffusion: Model) -> None:
    assert repr(diffusion) == ("<zoo/diffusion_16: diffusion, 16 px, 300,000 images seen, on cpu>")
    assert diffusion.config["model"]["name"] == diffusion.family == "diffusion"
    assert diffusion.capabilities.samplers


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: model.sample("a", sampler="euler"), "no sampler 'euler'"),
        (lambda model: model.sample("a", steps=0), "sampler.steps=0"),
        (lambda model: model.sample("a", guidance=float("nan")), "guidance.scale"),
        (lambda model: model.sample("a", label=3), "has no classes"),
        (lambda model: model.sample([]), "captions: 0 is too few"),
        (lambda model: model.sample("a", batch=0), "batch: 0 is too few"),
        (lambda model: genzoo.load("zoo/none"), "there is no checkpoint zoo/none"),
        (lambda model: genzoo.load("zoo/glide", device="abacus"), "no device 'abacus'"),
        (lambda model: genzoo.load("zoo/glide", precision="half"), "precision"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    call: Callable[[Model], object], said: str, diffusion: Model
) -> None:
    with pytest.raises(genzoo.UsageError, match=said) as error:
        call(diffusion)
    assert "\n" not in str(error.value)


def test_what_draws_nothing_says_so() -> None:
    with pytest.raises(genzoo.Unsupported, match="draws nothing"):
        genzoo.load("zoo/clip_16").sample("a dog")


def test_importing_genzoo_imports_no_torch() -> None:
    code = "import sys, genzoo; assert not {'torch', 'hydra', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'load' in dir(genzoo)"], check=True)
    with pytest.raises(AttributeError, match="no attribute 'lead'"):
        genzoo.lead  # noqa: B018
