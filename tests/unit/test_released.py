"""GLIDE's released files, told apart by their content and read as checkpoints.

The networks here are tiny ones of the same make: only the options differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel

from genzoo.config.composition import compose
from genzoo.config.objects import build
from genzoo.config.values import plain
from genzoo.core.errors import UsageError
from genzoo.tasks import export
from genzoo.text.stored import read_tokenizer
from genzoo.weights import checkpoint, openai_glide
from genzoo.weights.convert import glide
from genzoo.weights.openai_glide import KINDS, Kind

TINY = {"num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,2", "num_head_channels": 32}
TINY |= {"image_size": 16, "attention_resolutions": "8", "text_ctx": 8}
TINY |= {"xf_width": 32, "xf_layers": 1, "xf_heads": 2}
WORDS = 256 + 2  # bytes, one pair and the end


def vocabulary(folder: Path) -> None:
    """GPT-2's two files with a single pair."""
    numbers = {letter: k for k, letter in enumerate(sorted(ByteLevel.alphabet()))}
    numbers |= {"re": 256, "<|endoftext|>": 257}
    (folder / "encoder.json").write_text(json.dumps(numbers))
    (folder / "vocab.bpe").write_text("#version: 0.2\nr e\n")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    options, overrides = Kind.options.fget, Kind.overrides.fget  # type: ignore[attr-defined]
    small = ["model.unet.width=32", "model.unet.multiples=[1,2]", "model.unet.blocks=1"]
    small += ["model.unet.attention=[2]", "model.unet.head_channels=32", "data.image_size=16"]
    small += ["model.text.vocab_size=258", "model.text.context=8", "model.text.width=32"]
    small += ["model.text.layers=1", "model.text.heads=2"]
    monkeypatch.setattr(Kind, "options", property(lambda kind: options(kind) | TINY))
    monkeypatch.setattr(Kind, "overrides", property(lambda kind: overrides(kind) + small))
    monkeypatch.setattr(openai_glide, "CONTEXT", 8)
    openai_glide.tokenizer.cache_clear()
    vocabulary(tmp_path)
    return tmp_path


def state(kind: Kind) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return glide.to_reference(glide.build(kind.options, vocab_size=WORDS))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.file)
def test_each_file_is_told_by_its_content(tiny: Path, kind: Kind) -> None:
    path = tiny / "any name.pt"
    torch.save(state(kind), path)
    read = checkpoint.read(path)
    model = read.config["model"]
    assert (model["stage"], model["inpaint"]) == (kind.stage, kind.inpaint)
    expected = glide.from_reference(state(kind), kind.options).state_dict()
    assert read.ema.keys() == {f"network.{name}" for name in expected}
    assert all(torch.equal(read.ema[f"network.{k}"], v) for k, v in expected.items())
    tokens, mask = read_tokenizer(read.about["tokenizer"]).encode(["Red"])
    assert int(mask.sum()) == 2  # r e | d
    assert tokens.shape == (1, 8)


@pytest.mark.parametrize("wrapped", ["plain", "state_dict", "module.", "safetensors"])
def test_fine_tuned_files(tiny: Path, wrapped: str) -> None:
    """As trainers wrap them: below a key, with DDP's prefix, or in another format."""
    kind = KINDS[0]
    content: Any = state(kind)
    path = tiny / "tuned.pt"
    if wrapped == "state_dict":
        content = {"state_dict": content, "epoch": 3}
    elif wrapped == "module.":
        content = {f"module.{key}": value for key, value in content.items()}
    if wrapped == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file(content, path)
    else:
        torch.save(content, path)
    assert checkpoint.read(path).config["model"]["stage"] == "base"


def test_another_shape_is_listed(tiny: Path) -> None:
    wrong = state(KINDS[0])
    wrong["out.2.bias"] = torch.zeros(3)
    del wrong["time_embed.0.weight"]
    torch.save(wrong, tiny / "wrong.pt")
    with pytest.raises(UsageError) as error:
        checkpoint.read(tiny / "wrong.pt")
    assert "missing: time_embed.0.weight" in str(error.value)
    assert "misshapen: out.2.bias is (3,), expected (6,)" in str(error.value)


def test_no_such_network(tiny: Path) -> None:
    wrong = state(KINDS[0])
    wrong[openai_glide.FIRST] = torch.zeros(32, 5, 3, 3)
    torch.save(wrong, tiny / "wrong.pt")
    with pytest.raises(UsageError, match="sees 5 channels"):
        checkpoint.read(tiny / "wrong.pt")


def test_it_is_not_exported(tiny: Path) -> None:
    torch.save(state(KINDS[0]), tiny / "base.pt")
    own = {"checkpoint": str(tiny / "base.pt"), "file": str(tiny / "mine.safetensors")}
    cfg = OmegaConf.create({**checkpoint.configuration(tiny / "base.pt"), **own})
    with pytest.raises(UsageError, match="not trained by genzoo"):
        export.run(cfg)
    assert not (tiny / "mine.safetensors").exists()


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no base_inpaint\.pt"):
        openai_glide.published(Kind("base", inpaint=True), tmp_path)


def test_fetched_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "upsample.pt").write_bytes(b"weights")
    found = openai_glide.published(
        Kind("upsample", inpaint=False), None, address=tmp_path.as_uri()
    )
    assert found == tmp_path / "cache" / "openai" / "upsample.pt"
    assert found.read_bytes() == b"weights"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.file)
def test_configuration_and_options_agree(kind: Kind) -> None:
    """The command line of a network builds what the reference's options describe."""
    with torch.device("meta"):
        theirs = glide.build(kind.options)
        config = plain(compose(*kind.overrides))["model"]
        ours = build(config)
    assert config["process"] == {
        "_target_": "genzoo.diffusion.process.Discrete",
        "schedule": "squaredcos_cap_v2" if kind.stage == "base" else "linear",
        "steps": 1000,
        "prediction": "eps",
        "learned_variance": True,
    }
    shapes = {name: value.shape for name, value in ours.network.state_dict().items()}
    assert shapes == {name: value.shape for name, value in theirs.state_dict().items()}
