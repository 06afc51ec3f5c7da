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
from genzoo.data.input_images import each, open_mask
from tests.shell import Command, Result
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


@pytest.fixture(scope="module")
def vae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    ended = Command("model=vae", *SMALL, "hydra.run.dir=run", cwd=folder).wait(timeout=240)
    assert ended.status == 0, ended.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def vae(vae_folder: Path) -> Model:
    return genzoo.load(vae_folder, device="cpu")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    gradient = np.linspace(0, 255, 20 * 30 * 3).reshape(20, 30, 3)
    return Image.fromarray(gradient.astype(np.uint8))


@pytest.mark.parametrize(
    ("arguments", "call", "folder"),
    [
        (
            ("task=sample", "prompt=a dog", "count=3"),
            lambda model, image: model.sample("a dog", count=3, seed=2),
            "samples",
        ),
        (
            ("task=vary", "image=a.png", "count=3", "strength=0.7"),
            lambda model, image: model.vary(image, count=3, strength=0.7, seed=2),
            "versions",
        ),
        (
            ("task=interpolate", "image=a.png", "end=a.png", "prompt=a dog", "steps=3"),
            lambda model, image: model.interpolate(
                image, image, captions=("a dog", None), count=3, seed=2
            ),
            "interpolation",
        ),
        (
            ("task=interpolate", "prompt=a dog", "end_prompt=a cat", "steps=3"),
            lambda model, image: model.interpolate("a dog", "a cat", count=3, seed=2),
            "interpolation",
        ),
        (
            ("task=textdiff", "image=a.png", "source=a dog", "target=a cat"),
            lambda model, image: model.text_diff(image, "a dog", "a cat", seed=2),
            "textdiff",
        ),
    ],
)
def test_the_pictures_of_a_vae_are_those_of_the_commands(
    arguments: tuple[str, ...],
    call: Callable[[Model, Image.Image], list[Image.Image]],
    folder: str,
    shell: Shell,
    tmp_path: Path,
    vae_folder: Path,
    vae: Model,
    picture: Image.Image,
) -> None:
    picture.save(tmp_path / "a.png")
    ended = shell(
        *arguments, f"checkpoint={vae_folder}", "seed=2", "trainer.gpus=0", "hydra.run.dir=drawn"
    )
    assert ended.status == 0, ended.stderr
    assert np.array_equal(pixels(call(vae, picture)), written(tmp_path / "drawn" / folder))


def test_redrawn_parts_are_those_of_the_command(
    shell: Shell, tmp_path: Path, picture: Image.Image
) -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 10:20] = True
    picture.save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    ended = shell(
        "task=inpaint", "checkpoint=zoo/glide", "image=a.png", "mask=m.png", "prompt=a dog",
        "count=2", "seed=3", "sampler.steps=3", "trainer.gpus=0", "hydra.run.dir=drawn",
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    model = genzoo.load("zoo/glide", device="cpu")
    drawn = pixels(model.inpaint(picture, mask, "a dog", count=2, seed=3, steps=3))
    assert np.array_equal(drawn, written(tmp_path / "drawn" / "inpainted"))
    assert np.array_equal(drawn[0][~mask], np.asarray(picture)[~mask])


def test_pictures_are_reconstructed_and_likely(vae: Model, picture: Image.Image) -> None:
    seen = np.array(picture)
    handed = [picture, seen, torch.from_numpy(seen).movedim(-1, 0)]
    first, *others = pixels(vae.reconstruct(handed))
    assert first.shape == (16, 16, 3)
    assert all(np.array_equal(first, other) for other in others)
    found = vae.log_prob(handed[:2], seed=1)
    assert not found.exact
    assert found.nats.shape == (2,)
    assert 0 < found.bits_per_dim[0] < 30
    torch.testing.assert_close(found.nats, vae.log_prob(handed[:2], seed=1).nats)


def test_a_card_says_where_a_model_comes_from(vae: Model, diffusion: Model) -> None:
    assert diffusion.card.startswith("# diffusion_16\n")
    assert "| images seen | 96 |" in vae.card
    assert "bits_per_dim" in vae.card


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
        (lambda model: model.sample("a", sampler="none"), "no sampler 'none'"),
        (lambda model: model.sample("a", steps=0), "steps=0 is too small"),
        (lambda model: model.sample("a", guidance=float("nan")), "guidance=nan is no finite"),
        (lambda model: model.sample("a", label=3), "has no classes"),
        (lambda model: model.sample([]), "captions is empty"),
        (lambda model: model.sample("a", batch=0), "batch=0 is too small"),
        (lambda model: model.vary("nowhere.png"), "cannot sample variations.*model=vae"),
        (lambda model: model.interpolate("a", np.zeros((8, 8, 3), np.uint8)), "one endpoint is a"),
        (lambda model: model.interpolate("a", "b"), "cannot interpolate between captions"),
        (lambda model: model.reconstruct([]), "cannot reconstruct images"),
        (lambda model: model.inpaint("a.png", "m.png", "a"), "cannot inpaint"),
        (lambda model: model.log_prob(np.zeros((1, 8, 8, 3), np.uint8)), "no variational bound"),
        (lambda model: genzoo.load("zoo/none"), "there is no checkpoint zoo/none.*`last` for"),
        (lambda model: genzoo.load("zoo/glide", device="abacus"), "no device 'abacus'"),
        (lambda model: genzoo.load("zoo/glide", precision="half"), "no precision 'half'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    call: Callable[[Model], object], said: str, diffusion: Model
) -> None:
    with pytest.raises(genzoo.UsageError, match=said) as error:
        call(diffusion)
    assert "\n" not in str(error.value)


GRAY = np.full((8, 8, 3), 99, np.uint8)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda model: model.sample(None), "captions=None is no text"),
        (lambda model: model.sample(["a", None]), "captions hold None"),
        (lambda model: model.sample(b"a"), "is no text"),
        (lambda model: model.sample("a", count="2"), "count='2' is no whole number"),
        (lambda model: model.sample("a", count=True), "count=True is no whole number"),
        (lambda model: model.sample("a", batch=2.5), "batch=2.5 is no whole number"),
        (lambda model: model.sample("a", seed=-1), "seed=-1 is too small"),
        (lambda model: model.sample("a", seed=None), "seed=None is no whole number"),
        (lambda model: model.sample("a", guidance="x"), "guidance='x' is no finite number|takes"),
        (lambda model: model.sample("a", upsampler="x"), "upsampler= is a str.*genzoo.load"),
        (lambda model: model.sample("a", label=1.5), "label=1.5 is no whole number"),
        (lambda model: model.vary("nowhere.png"), "cannot read nowhere.png"),
        (lambda model: model.vary(np.zeros((4, 4))), "floats .float64.*to_uint8"),
        (lambda model: model.vary(torch.rand(3, 4, 4)), "floats .torch.float32.*to_uint8"),
        (lambda model: model.vary(torch.zeros(3, 4, 4).long()), "an array of int64"),
        (lambda model: model.vary(GRAY, 3), "caption=3 is no text"),
        (lambda model: model.vary(GRAY, strength="x"), "strength='x' is no finite"),
        (lambda model: model.vary(GRAY, strength=1.5), "strength=1.5 is no share"),
        (lambda model: model.interpolate("a.png", "b.PNG"), "pathlib.Path.'a.png'"),
        (lambda model: model.interpolate(GRAY, GRAY, captions="ab"), "give a pair"),
        (lambda model: model.interpolate(GRAY, GRAY, captions=("a",)), "give a pair"),
        (lambda model: model.interpolate(GRAY, GRAY, captions=("a", 1)), "captions=1 is no text"),
        (lambda model: model.interpolate("a", "b", captions=("a", "b")), "leave it away"),
        (lambda model: model.interpolate("a", "b", count=1), "count=1 is too small"),
        (lambda model: model.text_diff(GRAY, None, "a"), "source=None is no text"),
        (lambda model: model.reconstruct([]), "images=0 is too small"),
        (lambda model: model.reconstruct("nowhere"), "no images in nowhere"),
        (lambda model: model.reconstruct(GRAY[None], ["a", "b"]), "2 captions came with 1 images"),
        (lambda model: genzoo.load(3), "int names no checkpoint"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    call: Callable[[Model], object], said: str, vae: Model
) -> None:
    with pytest.raises(genzoo.UsageError, match=said) as error:
        call(vae)
    assert "\n" not in str(error.value)
    assert "trainer." not in str(error.value)


@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1), (0.0, 255.0)])
def test_floats_say_their_range(value_range: tuple[float, float]) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    floats = pixels / 255 * (value_range[1] - value_range[0]) + value_range[0]
    for kind in (np.float64, np.float32):
        found = genzoo.data.to_uint8(floats.astype(kind), value_range=value_range)
        assert np.array_equal(found, pixels)
    tensor = torch.from_numpy(floats).requires_grad_()
    assert torch.equal(
        genzoo.data.to_uint8(tensor, value_range=value_range), torch.from_numpy(pixels)
    )


@pytest.mark.parametrize(
    ("images", "value_range", "said"),
    [
        (np.full((2, 2), 200.0), (0, 1), "hold 200 to 200"),
        (np.full((2, 2), -0.9), (0, 1), "hold -0.9"),
        (np.full((2, 2), np.nan), (0, 1), "hold nan"),
        (np.zeros((2, 2), np.uint8), (0, 1), "uint8 are no floats"),
        (torch.zeros(2, 2).long(), (0, 1), "int64 are no floats"),
        ([0.5], (0, 1), "list holds no floats"),
        (np.zeros((2, 2)), 1, "is no range"),
        (np.zeros((2, 2)), (1, 0), "is empty"),
    ],
)
def test_floats_of_another_range_are_refused(
    images: object, value_range: object, said: str
) -> None:
    with pytest.raises(genzoo.UsageError, match=said):
        genzoo.data.to_uint8(images, value_range=value_range)  # type: ignore[type-var, arg-type]


def test_what_draws_in_one_go_takes_no_steps(vae: Model) -> None:
    with pytest.raises(genzoo.Unsupported, match="samples in one step"):
        vae.sample("a dog", steps=4)


def test_what_draws_nothing_says_so() -> None:
    with pytest.raises(genzoo.Unsupported, match=r"zoo/clip_16 scores images.*scorer=this"):
        genzoo.load("zoo/clip_16").sample("a dog")


def test_importing_genzoo_imports_no_torch() -> None:
    code = "import sys, genzoo; assert not {'torch', 'hydra', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'load' in dir(genzoo)"], check=True)
    with pytest.raises(AttributeError, match="no attribute 'lead'"):
        genzoo.lead  # noqa: B018


def test_numpys_numbers_are_numbers(diffusion: Model) -> None:
    own = diffusion.sample_tensor("a dog", seed=2, steps=3, guidance=2.0)
    asked = {"seed": np.int64(2), "steps": np.int64(3), "guidance": np.float32(2)}
    assert torch.equal(diffusion.sample_tensor("a dog", **asked), own)  # type: ignore[arg-type]


def test_the_configuration_is_a_copy(diffusion: Model) -> None:
    diffusion.config["data"]["image_size"] = 8
    assert diffusion.sample("a dog", steps=2)[0].size == (16, 16)


@pytest.mark.parametrize(
    "form",
    [
        lambda mask: mask,
        lambda mask: mask[None],
        lambda mask: mask[..., None],
        lambda mask: mask.astype(np.uint8),
        lambda mask: torch.from_numpy(mask).float(),
        lambda mask: torch.from_numpy(mask)[None],
    ],
)
def test_a_mask_of_zeros_and_ones(form: Callable[[np.ndarray], np.ndarray]) -> None:
    mask = np.zeros((6, 4), dtype=bool)
    mask[2:, 1:3] = True
    assert np.array_equal(open_mask(form(mask)), mask)
    with pytest.raises(genzoo.UsageError, match="other numbers than 0 and 1"):
        open_mask(mask * 0.5)


def test_overviews_in_a_folder_are_no_images_of_their_own(tmp_path: Path) -> None:
    for name in ("00000.png", "00001.png", "grid.png", "strip.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert [Path(str(file)).name for file in each(tmp_path)] == ["00000.png", "00001.png"]


def test_notebooks_complete_the_public_names() -> None:
    assert {"load", "Model", "UsageError"} <= set(dir(genzoo))
    assert "importlib" not in dir(genzoo)
    assert {"score", "Score"} <= set(dir(genzoo.metrics))
    assert "open" in dir(genzoo.data)
