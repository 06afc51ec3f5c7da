"""Every family through the command line: training, resuming, sampling; compiled; on two cards."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.gpu.bench import Bench, Failed, Found, command
from genzoo.config.composition import compose
from genzoo.config.paths import groups
from genzoo.core.errors import GenzooError
from genzoo.run import build

STEPS = 10
METRICS = (
    "metrics.images=32",
    "metrics.real_images=128",
    "metrics.copies_among=0",
    "metrics.held_out_images=32",
    "metrics.batch=32",
)


def families(bench: Bench) -> Found:
    """Ten steps of each family in bf16 with its defaults, as many again resumed, and samples."""
    found: Found = {"failures": [], "families": {}}
    for name in names():
        if bench.late:
            found["failures"].append(f"{name}: not reached in time")
            continue
        try:
            found["families"][name] = _family(bench, name)
        except (Failed, AssertionError, GenzooError) as error:
            found["failures"].append(f"{name}: {error}")
    return found


def compiled(bench: Bench) -> Found:
    """Ten steps and the samples of each family that can be compiled, at its tiny size."""
    found: Found = {"failures": [], "families": {}}
    for name in names():
        tiny = ["model.size=tiny"] if name == "glide" else []
        if not build.build_model(compose(f"model={name}", "data.image_size=16")).compilable():
            continue
        if bench.late:
            found["failures"].append(f"{name}: not reached in time")
            continue
        folder = bench.folder / f"{name}-compiled"
        try:
            _train(bench, name, folder, *tiny, "trainer.compile=true", "data.image_size=16")
            found["families"][name] = _numbers(folder)
        except (Failed, AssertionError, GenzooError) as error:
            found["failures"].append(f"{name}: {error}")
    return found


def two_cards(bench: Bench) -> Found:
    """Two processes learn what one does, in float32: over NCCL, where there are two cards."""
    found: Found = {"failures": []}
    if bench.on_gpu and torch.cuda.device_count() < 2:
        return found | {"left_out": "there is one card"}
    two = "trainer.gpus=2" if bench.on_gpu else "trainer.processes=2"
    for name, where in (("one", _device(bench)), ("two", [*_device(bench), two])):
        done = subprocess.run(
            [sys.executable, "-m", "genzoo", "model=vae", *where, "trainer.precision=32-true",
             f"budget.images={STEPS * 64}", "logger=none", "trainer.monitor_images=null", *METRICS,
             f"hydra.run.dir={bench.folder / name}"],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        if done.returncode:
            found["failures"].append(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
            return found
    one, other = (_weights(bench.folder / name) for name in ("one", "two"))
    worst = max(float((one[key].float() - other[key].float()).abs().max()) for key in one)
    found["largest_difference_of_weights"] = worst
    if not worst < 1e-3:
        found["failures"].append(f"weights of one and two processes differ by {worst:.2g}")
    return found


def names() -> list[str]:
    """Every family, parents first."""
    options = groups()["model"]
    return sorted(options, key=lambda name: (name == "unclip", name))


def _family(bench: Bench, name: str) -> Found:
    folder = bench.folder / name
    _train(bench, name, folder)
    numbers = _numbers(folder)
    more = 2 * numbers["images_seen"]
    again = bench.folder / f"{name}-resumed"
    command(
        f"checkpoint={folder}", f"budget.images={more}", *_common(bench), f"hydra.run.dir={again}"
    )
    assert _numbers(again)["images_seen"] == more, "the resumed run saw other numbers of images"
    if numbers["sampling"] is not None:
        samples = bench.folder / f"{name}-samples"
        command(
            "task=sample", f"checkpoint={again}", "count=4", *_device(bench),
            f"hydra.run.dir={samples}",
        )  # fmt: skip
        pixels = np.asarray(Image.open(samples / "samples" / "00000.png"), dtype=float)
        assert pixels.std() > 0, "a sample is of one colour"
    return numbers


def _train(bench: Bench, name: str, folder: Path, *arguments: str) -> None:
    batch = compose(f"model={name}").optimizer.batch_size
    given = [f"clip={bench.folder / 'clip'}"] if name == "unclip" else []
    if "trainer.compile=true" in arguments and given:
        given = [f"clip={bench.folder / 'clip-compiled'}"]
    command(
        f"model={name}", *given, f"budget.images={STEPS * batch}", *_common(bench), *arguments,
        f"hydra.run.dir={folder}",
    )  # fmt: skip


def _common(bench: Bench) -> list[str]:
    return [
        *_device(bench), "trainer.precision=bf16-mixed", "logger=none", "trainer.log_images=64",
        "trainer.validation_images=64", *METRICS,
    ]  # fmt: skip


def _device(bench: Bench) -> list[str]:
    return ["trainer.gpus=1"] if bench.on_gpu else ["trainer.gpus=0"]


def _numbers(folder: Path) -> Found:
    """The numbers of a run's results, with every metric finite."""
    results = json.loads((folder / "results.json").read_text())
    values = {name: entry["value"] for name, entry in results["metrics"].items()}
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    assert not wrong, f"{wrong[0]} is {values[wrong[0]]}"
    training = results["training"]
    return {
        "images_seen": training["images_seen"],
        "images_per_second": training["images_per_second"],
        "peak_memory_bytes": training["peak_memory_bytes"],
        "seconds_per_sample": results["sampling"]["seconds_per_image"],
        "parameters": results["model"]["parameters"],
        "sampling": results["model"]["sampling"],
    }


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = content["state_dict"]
    return state
