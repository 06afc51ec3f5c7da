"""GLIDE's network on the card: against plain arithmetic, and against the card's peak."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.gpu.bench import Bench, Found
from bench.timing import in_turns
from bench.unets import SIDE, TOKENS, WIDTH, asked, attention, ours

ROUNDS, BATCH, MATRIX, PRODUCTS = 5, 64, 8192, 10
VARIANTS = ("plain", "both", "compiled")  # see bench.unets


def throughput(bench: Bench) -> Found:
    """Training steps and forward passes in bf16 autocast, images a second, share of the peak.

    The peak is the speed of a product of large bf16 matrices on the same card, in turns with the
    network.
    """
    rows, side = (BATCH, MATRIX) if bench.on_gpu else (1, 256)
    device = bench.device
    x = torch.randn(rows, 3, SIDE, SIDE, device=device)
    times = torch.randint(0, 1000, (rows,), device=device)
    context = torch.randn(rows, TOKENS, WIDTH, device=device)
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)

    def peak() -> None:
        for _ in range(PRODUCTS):
            matrix @ matrix
        bench.synchronize()

    actions: dict[str, Callable[[], None]] = {"peak": peak}
    work = 0.0  # operations of one training step
    variants = [name for name in VARIANTS if bench.on_gpu or name != "compiled"]
    for variant in variants:
        ask = asked(variant, ours(variant).to(device))

        def ahead(variant: str = variant, ask: Callable[..., Tensor] = ask) -> Tensor:
            with attention(variant), torch.autocast(device.type, torch.bfloat16):
                return ask(x, times, context).float().square().mean()

        def step(ahead: Callable[[], Tensor] = ahead) -> None:
            ahead().backward()
            bench.synchronize()

        def forward(ahead: Callable[[], Tensor] = ahead) -> None:
            with torch.no_grad():
                ahead()
            bench.synchronize()

        if variant == "plain":
            with FlopCounterMode(display=False) as counter:
                step()
            work = float(counter.get_total_flops())
        actions |= {f"step_{variant}": step, f"forward_{variant}": forward}
    seconds = in_turns(ROUNDS, **actions)
    best = 2.0 * side**3 * PRODUCTS / seconds["peak"]
    found: Found = {"failures": [], "batch": rows, "matrix_product_flops_per_second": best}
    for variant in variants:
        for kind in ("step", "forward"):
            value = seconds[f"{kind}_{variant}"]
            found[f"{kind}_{variant}_images_per_second"] = rows / value
            found[f"{kind}_{variant}_over_plain"] = seconds[f"{kind}_plain"] / value
        found[f"step_{variant}_share_of_peak"] = work / seconds[f"step_{variant}"] / best
    return found
