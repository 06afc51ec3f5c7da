"""Our U-Net with the reference's weights gives the reference's outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genzoo.diffusion.network import ImageConditioning, TextConditioning, TextUNet
from genzoo.weights.convert import glide
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity


def read(model: TextUNet, inputs: dict[str, Tensor]) -> TextConditioning | None:
    if model.text is None:
        return None
    tokens = inputs["tokens"].long()
    return model.encode_condition(
        tokens, inputs.get("mask", torch.ones_like(tokens, dtype=torch.bool))
    )


def image_cond_of(inputs: dict[str, Tensor]) -> ImageConditioning:
    return ImageConditioning(
        inputs.get("inpaint_image"), inputs.get("inpaint_mask"), inputs.get("low_res")
    )


@pytest.mark.parametrize("case", cases("unet_forward"))
@torch.no_grad()
def test_forward(case: Case) -> None:
    options = case.about["models"]["model"]["hyperparameters"]
    model = case.model()
    kept: TextConditioning | None = (
        None  # what the reference caches is what a person of ours keeps
    )
    half = torch.autocast("cpu", torch.float16, enabled=options["use_fp16"])
    for call in case.about["calls"]:
        if call.get("op") == "del_cache":
            kept = None
            continue
        inputs, outputs = case.inputs(call), call["outputs"]
        with half:
            if kept is None or not options["cache_text_emb"]:
                kept = read(model, inputs)
            out = model(inputs["x"], inputs["timesteps"], kept, image_cond_of(inputs))
        case.check(outputs["out"], out)
        if "xf_out" in outputs:
            assert kept is not None
            case.check(outputs["xf_out"], kept.context.mT)
            case.check(outputs["xf_proj"], kept.embedding)


@pytest.mark.parametrize("case", cases("unet_grad"))
def test_gradients(case: Case) -> None:
    model = case.model()
    for call in case.about["calls"]:
        inputs, outputs = case.inputs(call), call["outputs"]
        x = inputs["x"].requires_grad_()
        loss = (model(x, inputs["timesteps"], read(model, inputs)) * inputs["loss_weight"]).mean()
        loss.backward()
        case.check(outputs["loss"], loss.detach())
        assert x.grad is not None
        case.check(outputs["grad_x"], x.grad)
        gradients = {name: p.grad for name, p in model.named_parameters()}
        by_their_names = glide.renamed(model, gradients)
        for name, key in outputs["grad_params"].items():
            case.check(key, by_their_names[name])
        norms = [by_their_names[name].norm() for name in call["grad_norm_order"]]
        case.check(outputs["grad_norms"], torch.stack(norms))


@pytest.mark.parametrize("case", cases("unet_forward", "unet_grad"))
def test_there_and_back(case: Case) -> None:
    """Every weight comes back as it was."""
    model = case.model()
    again = glide.to_reference(model)
    options = case.about["models"]["model"]["hyperparameters"]
    twin = glide.from_reference(again, options).state_dict()
    assert all(torch.equal(twin[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("case", cases("manifest"))
def test_manifest(case: Case) -> None:
    """Keys, shapes and numbers of parameters of every described network, built without memory."""
    for name, described in case.about["models"].items():
        if "hyperparameters" not in described:
            continue  # CLIP's: see the tests of its own network
        with torch.device("meta"):
            model = glide.build(described["hyperparameters"], vocab_size=described["n_vocab"])
        got = {key: list(value.shape) for key, value in glide.to_reference(model).items()}
        assert got == described["state_dict"], name
        assert sum(p.numel() for p in model.parameters()) == described["total_parameters"], name
