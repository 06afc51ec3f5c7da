"""What the reference refuses, ours refuses; what it accepts, ours accepts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genzoo.diffusion.network import TextUNet
from genzoo.diffusion.predict import to_prediction_with_variance
from genzoo.diffusion.sampler import ddim_inversion
from genzoo.diffusion.schedule import Schedule
from genzoo.weights.convert import clip, glide
from tests.parity.golden_cases import cases

pytestmark = pytest.mark.parity

OPTIONS: dict[str, Any] = {
    "image_size": 16,
    "num_channels": 32,
    "num_res_blocks": 1,
    "channel_mult": "1,2",
    "num_heads": 1,
    "num_head_channels": 16,
    "num_heads_upsample": -1,
    "attention_resolutions": "8",
    "dropout": 0.0,
    "text_ctx": 8,
    "xf_width": 16,
    "xf_layers": 1,
    "xf_heads": 2,
    "xf_final_ln": True,
    "xf_padding": True,
    "use_scale_shift_norm": True,
    "resblock_updown": True,
    "inpaint": False,
    "super_res": False,
}

CLIP_OPTIONS: dict[str, Any] = {
    "n_timesteps": 10,
    "image_size": 8,
    "patch_size": 4,
    "n_vocab": 20,
    "max_text_len": 12,
    "n_embd": 6,
    "n_head_state_text": 4,
    "n_head_text": 2,
    "n_xf_blocks_text": 1,
    "n_head_state_image": 4,
    "n_head_image": 2,
    "n_xf_blocks_image": 1,
}


def build(**changed: Any) -> TextUNet:
    return glide.build({**OPTIONS, **changed}, vocab_size=20)


def process() -> Schedule:
    return Schedule.discrete("squaredcos_cap_v2", 10)


def x_t(channels: int = 3) -> Tensor:
    return torch.zeros(2, channels, 16, 16)


def tokens(length: int = 8) -> Tensor:
    return torch.zeros(2, length, dtype=torch.long)


def read_without_mask(padding: bool) -> None:
    model = build(xf_padding=padding)
    if padding:
        model.encode_condition(tokens())  # type: ignore[call-arg]
    else:  # ours is always told; without padding it makes no difference
        everything, nothing = (torch.full((2, 8), value) for value in (True, False))
        a, b = (
            model.encode_condition(tokens(), everything),
            model.encode_condition(tokens(), nothing),
        )
        assert torch.equal(a.context, b.context)


def state_without_a_key() -> None:
    state = glide.to_reference(build())
    del state["out.2.bias"]
    glide.from_reference(state, OPTIONS)


def backwards_with_noise(eta: str) -> None:
    ddim_inversion(None, x_t(), process(), eta=float(eta))  # type: ignore[call-arg, arg-type]


def see(size: int = 8, times: Tensor | None = None) -> None:
    """CLIP's image encoder at images of a size and times."""
    clip.build_image(CLIP_OPTIONS)(torch.zeros(2, 3, size, size), times)


def at_or_after_the_end() -> None:
    see(times=torch.tensor([0, CLIP_OPTIONS["n_timesteps"]]))


TRIED: dict[str, Callable[..., object]] = {
    r"image_size (\d+) with empty channel_mult": lambda size: build(
        image_size=int(size), channel_mult=""
    ),
    r"channel_mult '(.*)' with image_size (\d+).*": lambda multiples, size: build(
        channel_mult=multiples, image_size=int(size)
    ),
    r"num_channels (\d+).*": lambda width: build(num_channels=int(width)),
    r"num_head_channels (\d+) with (\d+) channels": lambda head, width: build(
        num_head_channels=int(head), num_channels=int(width)
    ),
    r"noise_schedule '(.*)'": lambda name: Schedule.discrete(name, 10),
    r"timestep_respacing '(.*)'.*": lambda choice: Schedule.discrete("linear", 1000, choice),
    r"betas containing 0": lambda: Schedule.of_betas(np.array([0.0, 0.1])),
    r"betas greater than 1": lambda: Schedule.of_betas(np.array([0.1, 1.1])),
    r"beta exactly 1": lambda: Schedule.of_betas(np.array([0.1, 1.0])),
    r"network output with C instead of 2C channels": lambda: to_prediction_with_variance(
        "eps", x_t(), x_t(), process(), torch.tensor([1, 1])
    ),
    r"timestep tensor whose length is not the batch size": lambda: to_prediction_with_variance(
        "eps", x_t(6), x_t(), process(), torch.tensor([1, 1, 1])
    ),
    r"respaced timestep index out of range": lambda: process().level(
        torch.tensor([10, 10]), x_t()
    ),
    r"ddim_reverse_sample with eta (.*)": backwards_with_noise,
    r"tokens longer than text_ctx": lambda: build().encode_condition(
        tokens(9), torch.ones(2, 9, dtype=torch.bool)
    ),
    r"tokens missing": lambda: build()(x_t(), torch.zeros(2)),
    r"mask missing while xf_padding is (.*)": lambda value: read_without_mask(value == "True"),
    r"super-resolution without low_res": lambda: build(xf_width=0, super_res=True)(
        x_t(), torch.zeros(2)
    ),
    r"state dict with a missing key": state_without_a_key,
    r"CLIP image of another size": lambda: see(12, torch.tensor([0, 1])),
    r"CLIP image without timestep": see,
    r"CLIP float timestep": lambda: see(times=torch.tensor([0.0, 1.0])),
    r"CLIP timestep >= n_timesteps": at_or_after_the_end,
    r"CLIP patch_size not dividing image_size": lambda: clip.build_image(
        {**CLIP_OPTIONS, "patch_size": 3}
    ),
    r"CLIP text of another length than max_text_len": lambda: clip.build_text(CLIP_OPTIONS)(
        tokens(9), torch.ones(2, 9, dtype=torch.bool)
    ),
}
NO_COUNTERPART = {
    r".*model_kwargs=None": "guidance takes no keywords here",
    r"cached text, then other tokens": "what is read is kept by the caller, not by the network",
    r"use_fp16=True without convert_to_fp16.*": "half precision is autocast's, one switch",
}

ENTRIES = [
    pytest.param(entry, id=entry["what"])
    for parameter in cases("invalid_inputs")
    for entry in (parameter.values[0].about["entries"] if parameter.values[0] else [])
] or [pytest.param(None, marks=pytest.mark.skip(reason="no golden cases of refusals"))]


@pytest.mark.parametrize("entry", ENTRIES)
def test_refusal(entry: dict[str, Any]) -> None:
    for pattern, reason in NO_COUNTERPART.items():
        if re.fullmatch(pattern, entry["what"]):
            pytest.skip(reason)
    found = [
        (attempt, match.groups())
        for pattern, attempt in TRIED.items()
        if (match := re.fullmatch(pattern, entry["what"]))
    ]
    assert len(found) == 1, f"nothing here tries: {entry['what']}"
    attempt, words = found[0]
    if entry["raises"] is None:
        attempt(*words)
    else:
        # Any type of error will do, as the cases say; ours are not the reference's.
        with pytest.raises(Exception) as error:  # noqa: PT011
            attempt(*words)
        assert not isinstance(error.value, AssertionError | AttributeError | NameError)
