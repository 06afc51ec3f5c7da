"""Whether the card computes what the CPU does: noise, a flow's inverse, the golden cases."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import torch

from bench.gpu.bench import Bench, Found
from genzoo.config.composition import compose
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.models.base import GenerativeModel
from genzoo.run import build

TOLERANCE = 1e-5  # between the noise of CPU and GPU
TESTS = Path(__file__).parents[2] / "tests"


def noise(bench: Bench) -> Found:
    """The same numbers as on the CPU."""
    seeds = list(range(2**40, 2**40 + 64))
    here, there = (Noise(seeds, device=device) for device in ("cpu", bench.device))
    found: Found = {"failures": []}
    pairs = {
        "normal": [noise.normal(3, 64, 64) for noise in (here, there)],
        "uniform": [noise.child("a", 1).uniform(1000) for noise in (here, there)],
        "integers": [noise[3:9].integers(1000, 100) for noise in (here, there)],
    }
    for name, (one, other) in pairs.items():
        worst = float((one.double() - other.cpu().double()).abs().max())
        found[f"largest_difference_{name}"] = worst
        if not worst <= (0 if name == "integers" else TOLERANCE):
            found["failures"].append(f"{name} differs by {worst:.2g} from the CPU's")
    return found


@torch.no_grad()
def flow_inverse(bench: Bench) -> Found:
    """Images that come back from a flow's latent space, with the card's default arithmetic."""
    found: Found = {"failures": []}
    for arch in ("glow", "tarflow"):
        model = build.build_model(compose("model=flow", f"model/arch={arch}"))
        batch = _random_batch(model)
        model.data_dependent_init(batch, noise=Noise.of(0, batch.index))
        _perturb(model)
        model, batch = model.to(bench.device).eval(), batch.to(bench.device)
        back = model.reconstruct(batch.image, batch.condition)
        error = float((back - batch.image).abs().max())
        found[f"largest_error_{arch}"] = error
        if not error < 1 / 255:  # half of the distance between neighbouring 8-bit values
            found["failures"].append(f"{arch}: an image comes back wrong by {error:.2g}")
    return found


def golden(bench: Bench) -> Found:
    """The tests that need a GPU: the reference's golden cases on the card, among others."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "gpu", "-q", str(TESTS),
             f"--junitxml={report}"],
            capture_output=True, text=True, cwd=TESTS.parent, timeout=240,
        )  # fmt: skip
        if not report.exists():
            return {"failures": [f"pytest did not run: {(done.stdout + done.stderr)[-300:]}"]}
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    counts = {
        key: sum(int(suite.get(key, 0)) for suite in suites)
        for key in ("tests", "failures", "errors", "skipped")
    }
    failed = counts["failures"] + counts["errors"]
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    problems = lines[:10] if failed else []
    if bench.on_gpu and counts["tests"] == counts["skipped"]:
        problems = ["no test ran"]
    return {"failures": problems, "counts": counts}


def _perturb(model: GenerativeModel, size: float = 0.02) -> None:
    """Move every weight a little: couplings begin as the identity, which anything inverts."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter += size * torch.randn(parameter.shape, generator=generator)


def _random_batch(model: GenerativeModel, size: int = 32, count: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(32)[None] < torch.arange(count)[:, None]
    return Batch(
        image=torch.randint(0, 256, (count, 3, size, size), generator=generator) / 127.5 - 1,
        caption=("a word",) * count,
        tokens=torch.randint(0, 2048, (count, 32), generator=generator),
        token_mask=mask,
        label=torch.zeros(count, dtype=torch.long),
        index=torch.arange(count),
    )
