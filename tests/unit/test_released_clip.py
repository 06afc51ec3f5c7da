"""GLIDE's released CLIP: its two files told apart by their content, fetched, and put to use.

The networks here are tiny ones of the same make: only the configuration differs.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from genzoo.config.composition import compose
from genzoo.contrastive.image_text import CLIPScorer, ImageTextModel
from genzoo.core.errors import GenzooError, UsageError
from genzoo.diffusion.guidance import Classifier
from genzoo.diffusion.schedule import Schedule
from genzoo.models.clip import CLIP
from genzoo.models.unclip import UnCLIP
from genzoo.run import build, parent, scorers
from genzoo.text.stored import read_tokenizer
from genzoo.weights import checkpoint, openai_clip
from genzoo.weights.convert import clip
from genzoo.weights.openai_clip import IMAGE, PAIRS, TEXT
from tests.small import AGAIN

TINY = {"n_timesteps": 20, "image_size": 16, "patch_size": 8, "n_vocab": 600, "max_text_len": 9}
TINY |= {"n_embd": 6, "n_head_state_text": 4, "n_head_text": 2, "n_xf_blocks_text": 1}
TINY |= {"n_head_state_image": 4, "n_head_image": 3, "n_xf_blocks_image": 2}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a vocabulary of two pairs."""
    monkeypatch.setattr(openai_clip, "CONFIG", openai_clip.CONFIG | TINY)
    openai_clip.tokenizer.cache_clear()
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / PAIRS.removesuffix(".gz")).write_text("version\nr e\nre d</w>\n")
    return folder


def states() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(0)
    made = clip.build(TINY)
    image, text = clip.to_reference(made.image), clip.to_reference(made.text)
    for state in (image, text):  # no weight is zero, or mistakes would go unseen
        state.update(
            {name: value + 0.1 * torch.randn_like(value) for name, value in state.items()}
        )
    return image, text


def put(folder: Path, image: str = IMAGE, text: str = TEXT) -> Path:
    for name, state in zip((image, text), states(), strict=True):
        torch.save(state, folder / name)
    return folder


def config(*overrides: str, weights_dir: Path | None = None) -> DictConfig:
    cfg = compose("model=diffusion", "guidance=classifier", "data.image_size=16", "trainer.gpus=0",
                  *overrides)  # fmt: skip
    cfg.weights_dir = None if weights_dir is None else str(weights_dir)
    return cfg


def test_the_published_pair(tiny: Path) -> None:
    found = openai_clip.image_text(put(tiny))
    assert isinstance(found, ImageTextModel)
    assert found.about == {
        "clip": "openai/clip_image_enc.pt",
        "clip_sha256": found.sha256,
        "clip_image_size": 16,
        "clip_tokens": 9,
    }
    assert found.noise_aware
    assert found.scale == pytest.approx(100)
    images, t = torch.rand(2, 3, 16, 16) * 2 - 1, torch.tensor([3, 19])
    encoders = clip.from_reference(*states(), TINY)
    level = Schedule.discrete("squaredcos_cap_v2", 20).level(t, images)
    expected = torch.nn.functional.normalize(encoders.image(images, t), dim=1)
    torch.testing.assert_close(found.encode_image(images, level), expected)
    tokens, mask = found.tokenizer.encode(["Red r", ""])
    start, end = found.tokenizer.vocab_size - 2, found.tokenizer.vocab_size - 1
    r = 256 + sorted(map(chr, range(33, 127))).index("r")
    assert tokens[0].tolist() == [start, 513, r, end, 0, 0, 0, 0, 0]  # red | r
    expected = torch.nn.functional.normalize(encoders.text(tokens, mask), dim=1)
    torch.testing.assert_close(found.encode_text(["Red r", ""]), expected)
    assert found.is_truncated(["red " * 7, "red " * 8]).tolist() == [False, True]


def test_every_step_of_its_own_process_is_its_own(tiny: Path) -> None:
    """What guides the released base is told the base's own times."""
    model = openai_clip.image_text(put(tiny)).model
    whole = Schedule.discrete("squaredcos_cap_v2", 20)
    steps = torch.arange(20)
    assert torch.equal(model._steps(whole.level(steps, torch.zeros(20, 3, 16, 16))), steps)


@pytest.mark.parametrize("wrapped", ["plain", "state_dict", "module.", "safetensors", "half"])
def test_fine_tuned_files_are_told_by_their_content(tiny: Path, wrapped: str) -> None:
    """Under any name, as trainers wrap them, and in other formats."""
    for name, state in zip(("b.pt", "a.pt"), states(), strict=True):
        content: Any = state
        if wrapped == "state_dict":
            content = {"state_dict": state, "epoch": 3}
        elif wrapped == "module.":
            content = {f"module.{key}": value for key, value in state.items()}
        elif wrapped == "half":
            content = {key: value.half() for key, value in state.items()}
        if wrapped == "safetensors":
            save_file(content, (tiny / name).with_suffix(".safetensors"))
        else:
            torch.save(content, tiny / name)
    torch.save({"weight": torch.zeros(1)}, tiny / "other.pt")
    (tiny / "broken.pt").write_bytes(b"nothing")
    found = scorers.load_scorer(str(tiny), output=tiny, weights_dir=None)
    assert isinstance(found, ImageTextModel)
    assert found.about["clip"].startswith("weights/b.")
    reference = clip.from_reference(*states(), TINY).image.state_dict()
    limit = 1e-3 if wrapped == "half" else 0
    for name, value in found.model.image.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(value, reference[name], rtol=limit, atol=limit)
    by_word = openai_clip.image_text(tiny)
    assert by_word.sha256 == found.about["clip_sha256"]


def test_the_checksum_is_of_both_files(tiny: Path) -> None:
    before = openai_clip.published(put(tiny)).sha256
    assert openai_clip.published(tiny).sha256 == before
    image, text = states()
    torch.save({**text, "blocks.output.f.w": torch.zeros(6, 8)}, tiny / TEXT)
    changed = openai_clip.published(tiny).sha256
    put(tiny)
    torch.save({**image, "blocks.output.f.w": torch.zeros(6, 12)}, tiny / IMAGE)
    assert len({before, changed, openai_clip.published(tiny).sha256}) == 3


def test_swapped_files_are_refused(tiny: Path) -> None:
    put(tiny, image=TEXT, text=IMAGE)
    with pytest.raises(UsageError, match="should hold the image encoder") as error:
        openai_clip.image_text(tiny)
    assert "holds the text encoder" in str(error.value)
    torch.save({"weight": torch.zeros(1), "bias": torch.zeros(1)}, tiny / IMAGE)
    with pytest.raises(UsageError, match=r"2 entries of other names \(weight, bias\)"):
        openai_clip.image_text(tiny)


def test_another_shape_is_listed(tiny: Path) -> None:
    image, _ = states()
    put(tiny)
    image["blocks.output.f.w"] = torch.zeros(7, 12)
    del image["blocks.block_0.f_attn.f_k.w"]
    torch.save({**image, "more": torch.zeros(1)}, tiny / IMAGE)
    with pytest.raises(UsageError) as error:
        openai_clip.image_text(tiny)
    assert "unknown: more" in str(error.value)
    assert "missing: blocks.block_0.f_attn.f_k.w" in str(error.value)
    assert "misshapen: blocks.output.f.w is (7, 12), expected (6, 12)" in str(error.value)


def test_a_folder_without_a_pair(tiny: Path) -> None:
    with pytest.raises(UsageError, match=rf"no {IMAGE} in weights_dir"):
        openai_clip.published(tiny)
    put(tiny)
    (tiny / TEXT).unlink()
    with pytest.raises(UsageError, match=rf"no {TEXT} in weights_dir"):
        openai_clip.published(tiny)
    with pytest.raises(UsageError, match="text encoder: none"):
        scorers.find_scorer(str(tiny), output=tiny, weights_dir=None)
    put(tiny)
    put(tiny, image="second.pt")
    with pytest.raises(UsageError, match=rf"image encoder: {IMAGE}, second\.pt"):
        openai_clip.in_folder(tiny)
    with pytest.raises(UsageError, match="there is no checkpoint"):
        scorers.find_scorer(str(tiny.parent), output=tiny, weights_dir=None)


def test_one_half_alone(tiny: Path) -> None:
    file = put(tiny) / IMAGE
    with pytest.raises(UsageError, match=r"image encoder of a CLIP .* name the folder"):
        scorers.load_scorer(str(file), output=tiny, weights_dir=None)


class Danger:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_as_a_checkpoint_it_is_refused_for_what_it_is(tiny: Path) -> None:
    image, _ = states()
    torch.save(image, tiny / IMAGE)  # without the other half
    save_file({"weight": torch.zeros(2)}, tiny / "other.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it is deprecated, its files live on
        torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)).save(tiny / "script.pt")
    for name, said in (
        ("script.pt", "a TorchScript program, which is not executed"),
        (IMAGE, f"(image encoder: {IMAGE}; text encoder: none)"),
        ("other.safetensors", "holds 1 entry of other names (weight)"),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            checkpoint.read(tiny / name)


@pytest.mark.parametrize("half", [IMAGE, TEXT])
def test_both_files_are_one_checkpoint(tiny: Path, half: str) -> None:
    """As a trained model it is measured, fine-tuned, built upon."""
    read = checkpoint.read(put(tiny) / half)
    assert read.origin == f"weights/{IMAGE}"
    assert not read.weights  # nothing to go on from, but to begin with
    model = build.build_model(OmegaConf.create(read.config))
    checkpoint.load_into(model, read.ema, path=read.path)
    theirs = openai_clip.load(openai_clip.in_folder(tiny))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    assert isinstance(model, CLIP)
    torch.testing.assert_close(model.eval().encode_image(images), theirs.encode_image(images))
    tokens, mask = read_tokenizer(read.about["tokenizer"]).encode(["Red r", "r"])
    torch.testing.assert_close(model.encode_text(tokens, mask), theirs.encode_text(["Red r", "r"]))


def test_it_is_measured_and_fine_tuned(
    tiny: Path, genzoo: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    put(tiny)
    data = ("data=shapes", "data.source.count=60", *AGAIN)
    status, _, error = genzoo("task=evaluate", "checkpoint=weights", *data, "hydra.run.dir=found")
    assert status == 0, error
    found = json.loads((tmp_path / "found" / "results.json").read_text())
    assert found["model"]["origin"] == f"weights/{IMAGE}"
    assert "recall_at_1/image_to_text/t_19" in found["metrics"]
    tuning = ("checkpoint=weights", *data, "budget.images=32", "optimizer.batch_size=16")
    status, _, error = genzoo(*tuning, "hydra.run.dir=tuned")
    assert status == 0, error
    tuned = checkpoint.read(tmp_path / "tuned" / checkpoint.LAST)
    assert tuned.origin == f"weights/{IMAGE}"
    before = checkpoint.read(tiny / IMAGE).ema
    moved = {name for name, value in tuned.weights.items() if not value.equal(before[name])}
    assert {"image.patches.weight", "text.token_embedding.weight"} <= moved


@pytest.mark.parametrize(
    ("word", "image"), [("openai", IMAGE), ("openai", "tuned.pt"), ("folder", IMAGE)]
)
def test_a_family_is_built_on_it(tiny: Path, word: str, image: str) -> None:
    """The origin names what was asked for, and other files beside the published ones are ignored.

    Where one of the files has a name of its own, the content decides, and has to be unambiguous.
    """
    put(tiny, image=image)
    if word == "openai" and image == IMAGE:
        put(tiny, image="second.pt")
    cfg = compose("model=unclip", "data.image_size=16", "model.prior.network.width=8",
                  "model.prior.network.heads=2")  # fmt: skip
    cfg.clip, cfg.weights_dir = (word, str(tiny)) if word == "openai" else (str(tiny), None)
    cfg = parent.with_inherited(cfg, UnCLIP)
    model = build.build_model(cfg)
    assert isinstance(model, UnCLIP)
    origin = parent.load_parent(cfg, model)
    assert origin == f"{'openai' if word == 'openai' else 'weights'}/{image}"
    theirs = openai_clip.load(openai_clip.pair(cfg.clip, cfg.weights_dir)).model
    assert all(
        value.equal(theirs.state_dict()[name]) for name, value in model.clip.state_dict().items()
    )


def test_nothing_is_executed(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({clip.KEYS["image"]: Danger()}, put(tiny) / IMAGE)
    assert openai_clip.kind_of(tiny / IMAGE) is None
    with pytest.raises(UsageError, match="is not executed"):
        openai_clip.image_text(tiny)
    assert not (tmp_path / "executed").exists()


def test_fetched_into_the_cache(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    files = openai_clip.published(None, address=put(tiny).as_uri())
    kept = tmp_path / "cache" / "openai"
    assert (files.image, files.text) == (kept / IMAGE, kept / TEXT)
    assert files.name == "openai/clip_image_enc.pt"
    (tiny / IMAGE).unlink()  # what is there is not fetched again
    assert openai_clip.published(None, address=tiny.as_uri()).sha256 == files.sha256
    assert {p.name for p in kept.glob("*.sha256")} == {f"{IMAGE}.sha256", f"{TEXT}.sha256"}
    (kept / TEXT).write_bytes(b"changed")
    with pytest.raises(GenzooError, match="its sha256 differs"):
        openai_clip.published(None, address=tiny.as_uri())


def test_a_wrong_vocabulary_is_not_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / PAIRS).write_bytes(b"something else")
    with pytest.raises(GenzooError, match="not what was published"):
        openai_clip.vocabulary(tmp_path / "nowhere", tmp_path.as_uri())
    assert not (tmp_path / "cache" / "openai" / PAIRS).exists()
    put(tiny)
    for text, said in (("", "no pairs"), ("\na\n", "cannot be read"), ("\nzz q\n", "build on")):
        (tiny / PAIRS).write_text(text)
        with pytest.raises(GenzooError, match=said):
            openai_clip.image_text(tiny)


def test_a_missing_package_is_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tiny)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ftfy" else find(name)
    )
    with pytest.raises(UsageError, match=r"needs the package ftfy; pip install 'genzoo\[clip\]'"):
        scorers.find_scorer("openai", output=tiny, weights_dir=tiny)


@pytest.mark.parametrize("word", ["openai", "folder"])
def test_it_guides(tiny: Path, word: str) -> None:
    put(tiny)
    weights_dir = tiny if word == "openai" else None
    found = scorers.find_scorer(
        word if word == "openai" else str(tiny), output=tiny, weights_dir=weights_dir
    )
    assert found == (word if word == "openai" else str(tiny.resolve()))
    cfg = config("guidance.scorer=clip", "guidance.scale=3", weights_dir=weights_dir)
    cfg.guidance.checkpoint = found
    guidance = scorers.build_guidance(cfg)
    assert isinstance(guidance, Classifier)
    assert isinstance(guidance.scorer, CLIPScorer)
    assert guidance.noise_aware
    digest = openai_clip.in_folder(tiny).sha256
    assert scorers.guidance_words(cfg) == f"classifier 3 by {digest[:12]}"
    image_text = scorers.build_image_text_model(found, cfg)
    assert image_text.about["clip_sha256"] == digest
    cfg.data.image_size = 32
    with pytest.raises(UsageError, match="scores noisy images of 16 px"):
        scorers.build_guidance(cfg)


def test_released_sizes() -> None:
    """Those that OpenAI published; the temperature is 1/100."""
    with torch.device("meta"):
        made = clip.build(openai_clip.CONFIG)
    theirs = [clip.to_reference(encoder) for encoder in (made.image, made.text)]
    counts = [sum(value.numel() for value in state.values()) for state in theirs]
    assert counts == [86_443_776, 71_679_488]
    assert math.log(openai_clip.CONFIG["logit_scale"]) == pytest.approx(4.60517)
