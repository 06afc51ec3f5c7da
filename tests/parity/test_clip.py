"""The reference's CLIP in our encoders: features, embeddings and the gradient that guides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genzoo.contrastive.image_text import CLIPScorer
from genzoo.core.types import Condition
from genzoo.diffusion.guidance import Classifier
from genzoo.diffusion.process import Discrete
from genzoo.models.clip import CLIP, CLIPWithTokenizer, unit
from genzoo.text.clip_bpe import CLIPTokenizer
from genzoo.weights.convert import clip
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity

FILE = "bpe_simple_vocab_16e6.txt.gz"


def mask_of(lens: Tensor, context: int) -> Tensor:
    return torch.arange(context) < lens[:, None]


def probed(norm: nn.Module, run: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """What goes into the last normalisation, and what comes out in the end."""
    seen: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    features = run()
    handle.remove()
    return seen[-1], features


def model_of(case: Case) -> CLIP:
    """A CLIP of ours around the case's encoders."""
    config, encoders = case.about["models"]["clip"]["config"], case.clip()
    schedule, steps = config["beta_schedule"], config["n_timesteps"]
    process = Discrete(schedule=schedule, steps=steps, prediction="eps", learned_variance=False)
    size, features = config["image_size"], config["n_embd"]
    image = {"patch": config["patch_size"], "width": 8, "layers": 1, "heads": 1}
    text = {"vocab_size": 2, "context": 2, "width": 8, "layers": 1, "heads": 1}
    model = CLIP(image_size=size, features=features, image=image, text=text, noise_aware=True,
                 process=process, chunk=None)  # fmt: skip
    model.image, model.text = encoders.image, encoders.text
    model.log_scale = nn.Parameter(torch.tensor([math.log(config["logit_scale"])]))
    return model.eval().requires_grad_(False)


def tokenizer_of(case: Case) -> CLIPTokenizer:
    file = next(
        (path for path in (case.path.parent / "vocab" / FILE, case.path.parent / FILE)
         if path.is_file()), None
    )  # fmt: skip
    if file is None:
        pytest.skip(f"{FILE} does not lie beside the case")
    return CLIPTokenizer.from_file(file, context=case.clip().text.position.shape[0])


def text(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    encoder, given = case.clip().text, case.inputs(call)
    mask = mask_of(given["lens"], given["tokens"].shape[1])
    probe, features = probed(encoder.norm, lambda: encoder(given["tokens"], mask))
    return {"features": features, "probe": probe, "embeddings": unit(features)}


def image(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    encoder, given = case.clip().image, case.inputs(call)
    probe, features = probed(encoder.norm, lambda: encoder(given["image"], given["t"]))
    return {"features": features, "probe": probe, "embeddings": unit(features)}


def image_no_timestep(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    described = case.about["models"]["image_encoder"]
    own = described["arguments"]
    names = {"n_head": "n_head_image", "n_head_state": "n_head_state_image",
             "n_xf_blocks": "n_xf_blocks_image", "n_timestep": "n_timesteps"}  # fmt: skip
    config = {names.get(name, name): value for name, value in own.items()}
    state = case.state(described)
    encoder = clip.image_from_reference(state, config).eval()
    back = clip.to_reference(encoder)
    assert all(torch.equal(back[name], value) for name, value in state.items())
    features = encoder(case.inputs(call)["image_0_255"] / 127.5 - 1)
    return {"features": features, "embeddings": unit(features)}


def gradient(model: CLIP, texts: Tensor, x: Tensor, t: Tensor, scale: float) -> Tensor:
    assert isinstance(model.process, Discrete)
    level = model.process.whole.level(t, x)
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        value = scale * model.scale * (model.encode_image(x, level) * texts).sum()
        (slope,) = torch.autograd.grad(value, x)
    return slope


def cond_fn(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    model, given, told = model_of(case), case.inputs(call), call["literals"]
    scale = told.get("call_kwargs", {}).get("grad_scale", told["grad_scale"])
    texts = model.encode_text(given["tokens"], mask_of(given["lens"], given["tokens"].shape[1]))
    return {"grad": gradient(model, texts, given["x"], given["t"], scale)}


def cond_fn_prompts(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    """By way of what guides a person's samples."""
    model, given, told = model_of(case), case.inputs(call), call["literals"]
    image_text = CLIPWithTokenizer(model, tokenizer_of(case), "golden", "0" * 64)
    x, t, prompts = given["x"], given["t"], told["prompts"]
    tokens = torch.zeros(len(x), 1, dtype=torch.long)
    cond = Condition(tuple(prompts), tokens, tokens > 0, torch.full((len(x),), -1))
    likelihood = Classifier(CLIPScorer(image_text), told["grad_scale"]).log_likelihood(cond)
    assert isinstance(model.process, Discrete)
    level = model.process.whole.level(t, x)
    with torch.enable_grad():
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(likelihood(x, level).sum(), x)
    return {"grad": slope}


def encode_prompts(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    tokens, mask = tokenizer_of(case).encode(call["literals"]["prompts"])
    return {"tokens": tokens, "lens": mask.sum(dim=1)}


def logit_scale(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    model = model_of(case)
    return {"logit_scale": model.log_scale[0], "exp_logit_scale": model.scale}


OPS: dict[str, Callable[[Case, Mapping[str, Any]], dict[str, Tensor]]] = {
    "text": text,
    "image": image,
    "image_no_timestep": image_no_timestep,
    "cond_fn": cond_fn,
    "cond_fn_prompts": cond_fn_prompts,
    "encode_prompts": encode_prompts,
    "logit_scale": logit_scale,
}
CALLS = [
    pytest.param(parameter.values[0], call, id=f"{parameter.id}-{call['id']}-{call['op']}")
    for parameter in cases("clip")
    if parameter.values[0]
    for call in parameter.values[0].about["calls"]
] or [pytest.param(None, None, marks=pytest.mark.skip(reason="no golden cases of kind clip"))]


@pytest.mark.parametrize(("case", "call"), CALLS)
@torch.no_grad()
def test_calls(case: Case, call: dict[str, Any]) -> None:
    got = OPS[call["op"]](case, call)
    for name, key in call["outputs"].items():
        case.check(key, got[name])


@pytest.mark.parametrize("case", cases("clip"))
def test_there_and_back(case: Case) -> None:
    """Every weight comes back as it was, in the reference's names and layout."""
    encoders, described = case.clip(), case.about["models"]["clip"]
    for part in ("image", "text"):
        state = case.state(described, f"sd_prefix_{part}")
        back = clip.to_reference(getattr(encoders, part))
        assert back.keys() == state.keys()
        assert all(torch.equal(back[name], value) for name, value in state.items())


@pytest.mark.parametrize("case", cases("clip"))
def test_a_bias_of_keys_changes_nothing(case: Case) -> None:
    """Ours has one, which training moves; what it was is not missed on the way back."""
    encoder = case.clip().image
    config = case.about["models"]["clip"]["config"]
    size, steps = config["image_size"], config["n_timesteps"]
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, steps - 1])
    with torch.no_grad():
        before = encoder(images, t)
        for block in encoder.blocks:
            block.qkv.bias[len(block.qkv.bias) // 3 :][: len(block.qkv.bias) // 3] += 0.7
        torch.testing.assert_close(encoder(images, t), before, rtol=1e-4, atol=1e-5)
        again = clip.image_from_reference(clip.to_reference(encoder), config)
        torch.testing.assert_close(again(images, t), before, rtol=0, atol=0)


@pytest.mark.parametrize("case", cases("manifest"))
def test_manifest(case: Case) -> None:
    """Keys, shapes and numbers of parameters of every described encoder, built without memory."""
    builders = {"ImageEncoder": clip.build_image, "TextEncoder": clip.build_text}
    for name, described in case.about["models"].items():
        if described.get("class") not in builders:
            continue  # a U-Net: see the tests of networks
        with torch.device("meta"):
            encoder = builders[described["class"]](described["config"])
        got = {key: list(value.shape) for key, value in clip.to_reference(encoder).items()}
        assert got == described["state_dict"], name
        ours = sum(p.numel() for p in encoder.parameters())
        biases = sum(block.qkv.bias.numel() // 3 for block in encoder.blocks)  # of keys
        assert ours - biases == described["total_parameters"], name
