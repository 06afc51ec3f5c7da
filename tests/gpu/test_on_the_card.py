"""On a GPU: the reference's golden cases, and what `make gpu-check` looks at beside them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from bench.gpu import families, numerics
from bench.gpu.bench import Bench
from genzoo.diffusion.network import ImageConditioning, TextUNet
from tests.parity.golden_cases import Case, cases

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]


@pytest.mark.parametrize("case", cases("unet_forward"))
@torch.no_grad()
def test_the_network_gives_the_references_outputs(case: Case) -> None:
    options = case.about["models"]["model"]["hyperparameters"]
    model: TextUNet = case.model().cuda()
    half = torch.autocast("cuda", torch.float16, enabled=options["use_fp16"])
    with torch.backends.cudnn.flags(allow_tf32=False):
        for call in case.about["calls"]:
            if call.get("op") == "del_cache" or options["cache_text_emb"]:
                continue  # what is kept between calls is the CPU tests' matter
            given = {name: value.cuda() for name, value in case.inputs(call).items()}
            text_cond = None
            with half:
                if model.text is not None:
                    tokens = given["tokens"].long()
                    mask = given.get("mask", torch.ones_like(tokens, dtype=torch.bool))
                    text_cond = model.encode_condition(tokens, mask)
                image_cond = ImageConditioning(
                    given.get("inpaint_image"), given.get("inpaint_mask"), given.get("low_res")
                )
                out = model(given["x"], given["timesteps"], text_cond, image_cond)
            case.check(call["outputs"]["out"], out.cpu())


@pytest.mark.parametrize("check", [numerics.noise, numerics.flow_inverse, families.two_cards])
def test_what_the_check_says(check: object, tmp_path: Path) -> None:
    bench = Bench(device=torch.device("cuda"), folder=tmp_path, deadline=time.monotonic() + 240)
    assert callable(check)
    assert not check(bench)["failures"]
