"""Seconds of variants of one U-Net, in a fresh process: `unets.py keep variant,variant ...`.

The network is the reference's of 52.8M parameters at 64 px, in float32: 64 channels in multiples
of 1, 2, 3 and 4, three blocks a level, attention below the first level, a text of 64 tokens and
256 features. `plain` is the arithmetic that OpenAI's code does, operation by operation: maps in
rows, attention as two products and a softmax. The others change one thing each, or all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from genzoo.command.parser import Parser
from genzoo.machine.cpu import keep_freed_memory

if __name__ == "__main__":
    parser = Parser(prog="python -m bench.unets", description=__doc__)
    parser.add_argument("keep", choices=("0", "1"), help="whether malloc keeps freed blocks")
    parser.add_argument("variants", help="separated by commas")
    arguments = parser.parse_args()
    if arguments.keep == "1":
        assert keep_freed_memory(), "this C library has no mallopt"

import torch
from torch import Tensor, nn

from bench.timing import in_turns
from genzoo.core.noise import Noise
from genzoo.diffusion import wrappers
from genzoo.diffusion.network import TextConditioning, TextUNet
from genzoo.diffusion.process import Discrete
from genzoo.diffusion.sampling import Sampling
from genzoo.models.diffusion import NetworkDenoiser
from genzoo.nn.unet import UNetShape

VARIANTS = ("plain", "sdpa", "channels_last", "both", "compiled", "diffusers")
ROWS, SIDE, TOKENS, WIDTH, STEPS, SCALE = 2, 64, 64, 256, 10, 3.0
MULTIPLES, CHANNELS, BLOCKS = (1, 2, 3, 4), 64, 3
OURS = ("plain", "sdpa", "channels_last", "both", "compiled")
Ask = Callable[[Tensor, Tensor, Tensor], Tensor]  # x_t, times, features of the tokens


def plain_attention(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
    """Two products and a softmax, the scale split between queries and keys."""
    scale = q.shape[-1] ** -0.25
    weights = ((q * scale) @ (k * scale).transpose(-2, -1)).float().softmax(-1)
    mixed: Tensor = weights.to(v.dtype) @ v
    return mixed


@contextmanager
def attention(variant: str) -> Iterator[None]:
    if variant in ("plain", "channels_last"):
        name = "torch.nn.functional.scaled_dot_product_attention"
        with mock.patch(name, plain_attention):
            yield
    else:
        yield


def ours(variant: str) -> TextUNet:
    torch.manual_seed(0)
    network = TextUNet(
        UNetShape(
            width=CHANNELS, multiples=MULTIPLES, blocks=BLOCKS, attention=[2, 4, 8],
            head_channels=64,
        ),
        out=6,
        text={"vocab_size": 50257, "context": TOKENS, "width": WIDTH, "layers": 6, "heads": 4},
    )  # fmt: skip
    if variant in ("channels_last", "both", "compiled"):
        network = network.to(memory_format=torch.channels_last)
    if variant == "compiled":
        network.compile()
    return network


def theirs() -> nn.Module:
    """diffusers' network of the same shape, by the blocks of its unCLIP, which come from GLIDE."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    deep = len(MULTIPLES) - 1
    network: nn.Module = UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=3,
        out_channels=6,
        layers_per_block=BLOCKS,
        block_out_channels=tuple(CHANNELS * m for m in MULTIPLES),
        down_block_types=("ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * deep),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=(*["SimpleCrossAttnUpBlock2D"] * deep, "ResnetUpsampleBlock2D"),
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=64,
        cross_attention_dim=WIDTH,
    )
    return network


def asked(variant: str, network: nn.Module) -> Ask:
    if variant == "diffusers":
        return lambda x, t, c: network(x, t, encoder_hidden_states=c).sample

    def ask(x: Tensor, times: Tensor, context: Tensor) -> Tensor:
        embedding = x.new_zeros(len(x), 4 * CHANNELS)
        out: Tensor = network(x, times, TextConditioning(embedding, context))
        return out

    return ask


def guided_loop(variant: str, ask: Ask) -> Callable[[], object]:
    """One image in `STEPS` ancestral steps with guidance, features of the text at hand."""
    context = torch.randn(1, TOKENS, WIDTH)
    nothing = torch.randn(1, TOKENS, WIDTH)
    if variant == "diffusers":
        from diffusers import DDPMScheduler

        scheduler = DDPMScheduler(
            beta_schedule="squaredcos_cap_v2", variance_type="learned_range", clip_sample=True
        )
        scheduler.set_timesteps(STEPS)
        both = torch.cat([context, nothing])

        def diffusers_loop() -> None:
            x = torch.randn(1, 3, SIDE, SIDE)
            for t in scheduler.timesteps:
                eps, variance = ask(x.repeat(2, 1, 1, 1), t.repeat(2), both).split(3, dim=1)
                c, u = eps.chunk(2)
                out = torch.cat([u + SCALE * (c - u), variance[:1]], dim=1)
                x = scheduler.step(out, t, x).prev_sample

        return diffusers_loop

    process = Discrete(
        schedule="squaredcos_cap_v2", steps=1000, prediction="eps", learned_variance=True
    )
    sampling, schedule = Sampling("ddpm", steps=STEPS), process.schedule(STEPS)
    embedding = torch.zeros(1, 4 * CHANNELS)

    def network(x: Tensor, times: Tensor, text_cond: TextConditioning, image_cond: None) -> Tensor:
        assert text_cond.context is not None
        return ask(x, times, text_cond.context)

    denoise = wrappers.classifier_free(
        NetworkDenoiser(
            network,
            process,
            schedule,
            TextConditioning(embedding, context),
            TextConditioning(embedding, nothing),
        ),
        scale=SCALE,
        schedule=schedule,
    )  # fmt: skip

    def loop() -> None:
        noise = Noise.of(0, [0])
        start = noise.child("start").normal(3, SIDE, SIDE)
        sampling.sample(
            sampling.thresholded(denoise),
            start=start,
            schedule=schedule,
            noise=noise.child("steps"),
        )

    return loop


def measure(variants: list[str]) -> Mapping[str, float]:
    x, t = torch.randn(ROWS, 3, SIDE, SIDE), torch.tensor([10, 900])
    context = torch.randn(ROWS, TOKENS, WIDTH)
    actions: dict[str, dict[str, Callable[[], object]]] = {}

    def under(variant: str, action: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with attention(variant):
                action()

        return run

    def without_gradient(action: Callable[[], object]) -> Callable[[], object]:
        return torch.no_grad()(action)

    counts = {}
    for variant in variants:
        network = theirs() if variant == "diffusers" else ours(variant)
        counts[f"{variant}_parameters"] = float(sum(p.numel() for p in network.parameters()))
        ask = asked(variant, network)
        own: dict[str, Callable[[], object]] = {
            "forward": without_gradient(lambda ask=ask: ask(x, t, context)),
            "forward_backward": lambda ask=ask: ask(x, t, context).square().mean().backward(),
            "guided_sampling": without_gradient(guided_loop(variant, ask)),
        }
        for what, action in own.items():
            actions.setdefault(what, {})[variant] = under(variant, action)
    found = {}
    for what, by_variant in actions.items():
        times = in_turns(3, **by_variant)
        found |= {f"{what}_{variant}_seconds": value for variant, value in times.items()}
    return found | counts


if __name__ == "__main__":
    for name in arguments.variants.split(","):
        if name not in VARIANTS:
            parser.error(f"there is no variant {name}; there are {', '.join(VARIANTS)}")
    print(json.dumps(measure(arguments.variants.split(","))))
