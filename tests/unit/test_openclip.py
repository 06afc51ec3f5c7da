"""CLIPs of the package open_clip: with a stand-in, and with the package where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genzoo.contrastive.image_text import CLIPScorer, ImageTextModel
from genzoo.core.errors import GenzooError, Unsupported, UsageError
from genzoo.core.types import Condition
from genzoo.diffusion.schedule import NoiseLevel
from genzoo.run import scorers
from genzoo.weights import openclip
from genzoo.weights.openclip import OpenCLIPWithTokenizer

END, CONTEXT = 1, 6


def tokenize(texts: list[str], context_length: int | None = None) -> Tensor:
    """A number a letter, cut as CLIP's tokenizer does."""
    length = context_length or CONTEXT
    rows = [[2, *(3 + ord(c) % 50 for c in text), END] for text in texts]
    rows = [[*row[: length - 1], END] if len(row) > length else row for row in rows]
    return torch.tensor([row + [0] * (length - len(row)) for row in rows])


class Standin(nn.Module):
    """What the package's models offer, as small as can be."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.visual = nn.Linear(3 * 8 * 8, 5)
        self.visual.image_size = (8, 8)  # type: ignore[assignment]
        self.visual.image_mean = (0.5, 0.4, 0.3)  # type: ignore[assignment]
        self.visual.image_std = (0.2, 0.3, 0.4)  # type: ignore[assignment]
        self.text = nn.Embedding(60, 5)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, images: Tensor) -> Tensor:
        self.seen = images
        out: Tensor = self.visual(images.flatten(1))
        return out

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.text(tokens).mean(1)  # type: ignore[no-any-return]


def standin() -> OpenCLIPWithTokenizer:
    model = Standin().eval().requires_grad_(False)
    return OpenCLIPWithTokenizer(model, tokenize, CONTEXT, "open_clip/standin/none")


def level() -> NoiseLevel:
    return NoiseLevel(torch.ones(2, 1, 1, 1), torch.ones(2, 1, 1, 1), torch.ones(2))


def test_images_are_prepared_as_the_model_wants_them() -> None:
    judge = standin()
    assert isinstance(judge, ImageTextModel)
    assert not judge.noise_aware
    assert judge.image_size == 8
    assert judge.scale == pytest.approx(torch.tensor(2.0).exp().item())
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    judge.encode_image(images)
    model: Any = judge.model
    for k, (mean, std) in enumerate(((0.5, 0.2), (0.4, 0.3), (0.3, 0.4))):
        torch.testing.assert_close(model.seen[:, k], ((images[:, k] + 1) / 2 - mean) / std)
    larger = torch.rand(2, 3, 20, 20, requires_grad=True)
    vectors = judge.encode_image(larger)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    (slope,) = torch.autograd.grad(vectors[:, 0].sum(), larger)
    assert slope.abs().sum() > 0
    with pytest.raises(Unsupported, match="clean images only"):
        judge.encode_image(
            images, NoiseLevel(torch.ones(2, 1, 1, 1), torch.ones(2, 1, 1, 1), torch.ones(2))
        )


def test_captions_that_are_too_long_are_told() -> None:
    judge = standin()
    assert judge.is_truncated(["", "abcd", "abcde", "abcdefghijklmnop"]).tolist() == [
        False, False, True, True
    ]  # fmt: skip
    vectors = judge.encode_text(["abcd", "b"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


def test_the_stamp_tells_weights_apart() -> None:
    first, second, third = standin(), standin(), standin()
    with torch.no_grad():
        third.model.visual.weight[0, 0] += 1e-3  # type: ignore[index, union-attr, operator]
    assert first.about["clip_sha256"] == second.about["clip_sha256"]
    assert first.about["clip_sha256"] != third.about["clip_sha256"]
    assert first.about["clip"] == "open_clip/standin/none"
    assert first.about["clip_tokens"] == CONTEXT


def test_it_scores_images() -> None:
    tokens = torch.zeros(2, 1, dtype=torch.long)
    cond = Condition(("abc", "b"), tokens, tokens > 0, torch.full((2,), -1))
    scorer = CLIPScorer(standin())
    assert scorer.log_likelihood(cond)(torch.zeros(2, 3, 8, 8), level()).shape == (2,)


def test_words_that_name_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("open_clip/", "open_clip/ViT-B-32", "open_clip//openai"):
        with pytest.raises(UsageError, match="names no model and weights"):
            scorers.find_scorer(word, output=tmp_path, weights_dir=None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'genzoo\[open-clip\]'"):
        scorers.find_scorer("open_clip/ViT-B-32/openai", output=tmp_path, weights_dir=None)


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[str, Path]:
    """A model of the package that is small, and a file with random weights for it."""
    package = pytest.importorskip("open_clip", reason="needs genzoo[open-clip]")
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 2,
                     "layers": 1},
    }  # fmt: skip
    (tmp_path / "genzoo-tiny.json").write_text(json.dumps(config))
    package.add_model_config(tmp_path / "genzoo-tiny.json")
    torch.manual_seed(0)
    file = tmp_path / "tiny.pt"
    torch.save(package.create_model("genzoo-tiny").state_dict(), file)
    return "genzoo-tiny", file


def test_a_model_of_the_package(tiny: tuple[str, Path]) -> None:
    name, file = tiny
    word = f"open_clip/{name}/{file}"
    assert scorers.find_scorer(word, output=file.parent, weights_dir=None) == word
    judge = scorers.load_scorer(word, output=file.parent, weights_dir=None)
    assert isinstance(judge, OpenCLIPWithTokenizer)
    assert (judge.image_size, judge.context) == (16, 12)
    assert judge.is_truncated(["a " * 10, "a " * 11]).tolist() == [False, True]
    images = torch.rand(2, 3, 24, 24, requires_grad=True)
    similar = (judge.encode_image(images) * judge.encode_text(["a", "b"])).sum()
    assert similar.isfinite()
    (slope,) = torch.autograd.grad(similar, images)
    assert slope.abs().sum() > 0
    digest = scorers.scorer_sha256(word, output=file.parent, weights_dir=None)
    assert digest == judge.about["clip_sha256"]
    # The package's own preparation of an image of the right size says the same.
    import open_clip
    from torchvision.transforms.functional import to_pil_image

    _, _, prepare = open_clip.create_model_and_transforms(name, pretrained=str(file))
    picture = torch.rand(3, 16, 16)
    picture = (picture * 255).round() / 255
    expected = judge.model.encode_image(  # type: ignore[operator]
        prepare(to_pil_image(picture))[None], normalize=True
    )
    torch.testing.assert_close(judge.encode_image(picture[None] * 2 - 1), expected)


def test_what_the_package_does_not_have(tiny: tuple[str, Path]) -> None:
    name, file = tiny
    with pytest.raises(UsageError, match="has no model ViT-none"):
        openclip.load("open_clip/ViT-none/openai")
    with pytest.raises(UsageError, match="neither a file nor weights"):
        openclip.load("open_clip/ViT-B-32/none")
    torch.save({"weight": torch.zeros(1)}, file)
    with pytest.raises(GenzooError, match="cannot make genzoo-tiny"):
        openclip.load(f"open_clip/{name}/{file}")


@pytest.mark.parametrize(("weights", "quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_weights_get_the_activation_they_were_trained_with(
    weights: str, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("open_clip", reason="needs genzoo[open-clip]")
    asked: list[Any] = []

    def create(*_: Any, force_quick_gelu: bool, **__: Any) -> nn.Module:
        asked.append(force_quick_gelu)
        return Standin()

    monkeypatch.setattr(package, "create_model", create)
    openclip._loaded.cache_clear()
    openclip.load(f"open_clip/ViT-B-32/{weights}")
    openclip._loaded.cache_clear()
    assert asked == [quick]
