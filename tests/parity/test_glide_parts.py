"""The parts of networks and loops, each alone, give what the reference's give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.image import requantised, to_uint8
from genzoo.diffusion import wrappers
from genzoo.diffusion.network import ImageConditioning, TextUNet
from genzoo.diffusion.predict import Prediction, to_prediction
from genzoo.diffusion.schedule import Schedule
from genzoo.nn.attention import AttentionBlock
from genzoo.nn.resnet import resampled
from genzoo.nn.transformer import Block
from genzoo.nn.unet import UNetShape, time_features
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity


class Constant(nn.Module):
    """Stands for a layer whose output is given."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.value


def attention(qkv: Tensor, n_heads: int, encoder_kv: Tensor | None = None) -> Tensor:
    channels = qkv.shape[1] // 3
    context = None if encoder_kv is None else encoder_kv.mT
    block = AttentionBlock(
        channels, heads=n_heads, context=1 if context is not None else 0, groups=1
    )
    block.qkv = Constant(qkv.mT)  # type: ignore[assignment]
    block.proj = nn.Identity()  # type: ignore[assignment]
    if context is not None:
        block.context_kv = Constant(context)  # type: ignore[assignment]
    x = torch.zeros(len(qkv), channels, 1, qkv.shape[2])
    return block(x, context)[:, :, 0]


def text_attention(qkv: Tensor, n_heads: int) -> Tensor:
    """Ours lies part by part, theirs head by head."""
    parts = qkv.unflatten(2, (n_heads, 3, -1)).transpose(2, 3).flatten(2)
    width = qkv.shape[2] // 3
    block = Block(width, n_heads)
    block.qkv = Constant(parts)  # type: ignore[assignment]
    block.proj = nn.Identity()  # type: ignore[assignment]
    block.mlp = Constant(torch.zeros(1))  # type: ignore[assignment]
    return block(torch.zeros(*qkv.shape[:2], width))


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, swish: bool) -> Tensor:
    norm = AttentionBlock(x.shape[1], heads=1, context=0, groups=32).norm
    norm.load_state_dict({"weight": weight, "bias": bias})
    return F.silu(norm(x)) if swish else norm(x)


def enlarged(low_res: Tensor, size: list[int]) -> Tensor:
    shape = UNetShape(width=32, multiples=[1], blocks=1, attention=[], head_channels=None)
    model = TextUNet(shape, out=6, text=None, upsample=True)
    seen: list[Tensor] = []
    model.unet.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.unet.forward = Constant(torch.zeros(len(low_res), 6, *size)).forward  # type: ignore[method-assign]
    x = torch.zeros(len(low_res), 3, *size)
    model(x, torch.zeros(len(x)), image_cond=ImageConditioning(low_res=low_res))
    return seen[0][:, 3:]


def larger_mask(mask: Tensor, size: list[int]) -> Tensor:
    while list(mask.shape[2:]) != size:
        mask = resampled(mask, "larger")
    return mask


def guided(x: Tensor, model_output: Tensor, scale: float) -> Tensor:
    """The reference guides both halves alike and leaves each its variance."""
    schedule = Schedule.discrete("squaredcos_cap_v2", 10)
    half = len(x) // 2

    class Both:
        def __call__(self, x_t: Tensor, step: int) -> Prediction:
            return self.with_and_without_condition(x_t, step)[0]

        def with_and_without_condition(
            self, x_t: Tensor, step: int
        ) -> tuple[Prediction, Prediction]:
            eps = model_output[:, :3]
            level = schedule.level(step, x_t)
            return to_prediction("eps", eps[:half], x_t, level), to_prediction(
                "eps", eps[half:], x_t, level
            )

    denoise = wrappers.classifier_free(Both(), scale=scale, schedule=schedule)
    eps = denoise(x[:half], 6).eps
    return torch.cat([eps.repeat(2, 1, 1, 1), model_output[:, 3:]], dim=1)


PARTS: dict[str, Callable[..., Tensor]] = {
    "timestep_embedding": lambda timesteps, dim, max_period=10_000: time_features(
        timesteps, dim, longest=float(max_period)
    ),
    "qkv_attention": attention,
    "xf_attention": text_attention,
    "group_norm": group_norm,
    "lowres_upsample": enlarged,
    "upsample_nearest_2x": lambda x: resampled(x, "larger"),
    "downsample_avg_2x": lambda x: resampled(x, "smaller"),
    "gelu_xf": lambda x: Block(8, 1).mlp[1](x),
    "cfg": guided,
    "quantize_low_res": lambda samples: requantised(samples.view(1, -1)).view_as(samples),
    # The notebooks lay images side by side, channels last.
    "to_uint8_grid": lambda samples: to_uint8(samples).permute(2, 0, 3, 1).flatten(1, 2),
    "mask_upsample": larger_mask,
}


@pytest.mark.parametrize("case", cases("nn_functions"))
@torch.no_grad()
def test_part(case: Case) -> None:
    for call in case.about["calls"]:
        out = PARTS[call["op"]](**case.inputs(call), **call["literals"])
        case.check(call["outputs"]["out"], out.contiguous())
