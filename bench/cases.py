"""One function a benchmark; each returns plain numbers with their unit in the name.

Every case runs in a process of its own (see `bench.__main__`), with OpenMP threads bound to cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.timing import in_turns, seconds

Numbers = dict[str, float]
CASES: dict[str, Callable[[], Numbers]] = {}


def case(function: Callable[[], Numbers]) -> Callable[[], Numbers]:
    CASES[function.__name__] = function
    return function


def openmoji(size: int = 32):  # type: ignore[no-untyped-def]
    from genzoo.data.dataset import TextImageData
    from genzoo.data.openmoji import OpenMoji

    return TextImageData(OpenMoji(), image_size=size, validation=0.1, max_skipped=0.01)


@case
def data_loading() -> Numbers:
    """Training batches of 64 emoji, and rendering them from their SVGs."""
    from genzoo.data.datamodule import TextImageDataModule
    from genzoo.data.openmoji import OpenMoji
    from genzoo.text.bpe import BPETokenizer

    data = openmoji()
    tokenizer = BPETokenizer.train(data.captions, vocab_size=2048, context=32)
    module = TextImageDataModule(data, tokenizer, batch_size=64, seed=0)
    batches = iter(module.train_dataloader())
    source = OpenMoji()

    def load() -> None:
        for _ in range(200):
            next(batches)

    def render() -> None:
        for i in range(300):
            source.render(i, 32)

    times = in_turns(3, load=load, render=render)
    return {
        "batches_images_per_second": 200 * 64 / times["load"],
        "drawing_32px_images_per_second": 300 / times["render"],
    }


@case
def feature_extraction() -> Numbers:
    """The extractor, resizing included, against its bare network on images of the right size."""
    import torch

    from genzoo.metrics.extractors import build_extractor

    extractor = build_extractor("efficientnet_lite0")
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    ready = [
        extractor.prepare(part).contiguous(memory_format=torch.channels_last)
        for part in images.split(extractor.chunk)
    ]

    def bare() -> None:
        with torch.no_grad():
            for part in ready:
                extractor.network(part)

    times = in_turns(5, bare=bare, extractor=lambda: extractor(images))
    return {
        "bare_network_images_per_second": 64 / times["bare"],
        "extractor_images_per_second": 64 / times["extractor"],
        "share_of_bare": times["bare"] / times["extractor"],
    }


@case
def frechet_distance() -> Numbers:
    """Two 2048-dimensional statistics, against scipy's matrix root and torchmetrics."""
    import scipy.linalg
    import torch
    from torchmetrics.image.fid import _compute_fid

    from genzoo.metrics.frechet import frechet_distance as ours
    from genzoo.metrics.stats import feature_statistics

    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(2048, 2048, generator=generator, dtype=torch.float64) / 45
    a, b = (
        feature_statistics(torch.randn(5000, 2048, generator=generator, dtype=torch.float64) @ m)
        for m in (mix, mix + 0.1 * torch.eye(2048, dtype=torch.float64))
    )
    values = {}

    def scipy_root() -> None:
        root = scipy.linalg.sqrtm(a.cov.numpy() @ b.cov.numpy()).real
        distance = (a.mean - b.mean).square().sum() + a.cov.trace() + b.cov.trace()
        values["scipy"] = float(distance - 2 * root.trace())

    def torchmetrics_root() -> None:
        values["torchmetrics"] = float(_compute_fid(a.mean, a.cov, b.mean, b.cov))

    def genzoo_root() -> None:
        values["genzoo"] = ours(a, b)

    times = {
        "genzoo_seconds": in_turns(3, x=genzoo_root)["x"],
        "torchmetrics_seconds": seconds(torchmetrics_root),
        "scipy_seconds": seconds(scipy_root),
    }
    worst = max(abs(values["genzoo"] - v) for v in values.values()) / abs(values["genzoo"])
    return {**times, "largest_relative_difference": worst}


@case
def training() -> Numbers:
    """Steps through Lightning, as task=fit takes them, against a bare loop on the same model."""
    import torch
    from omegaconf import OmegaConf

    from genzoo.config.composition import compose
    from genzoo.config.values import plain
    from genzoo.core.noise import Noise
    from genzoo.lit.ema import EMA
    from genzoo.machine.track import Tracker
    from genzoo.run import build
    from genzoo.tasks.fit import train

    steps, rounds = 40, 4
    cfg = compose(
        "model=vae", "logger=none", "trainer.gpus=0", "trainer.monitor_images=null",
        f"budget.images={64 * steps}",
    )  # fmt: skip
    data = openmoji()
    tokenizer = build.build_tokenizer(cfg, data, None)

    def lightning() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = {"folder": folder, "command": "bench", "group": None}
            # As `genzoo.command.prepare.prepare` leaves it: resolved, with the section `run`.
            ready = OmegaConf.create({**plain(cfg), "run": run})
            with Tracker(ready) as tracker:
                return train(ready, data, tokenizer, tracker=tracker).seconds

    def bare() -> float:
        model = build.build_model(cfg)
        ema = EMA(model, halflife_images=500000, ramp=0.05)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        order = torch.as_tensor(data.split("train"))

        def loop() -> None:
            for step in range(steps):
                batch = data.batch(order[torch.randint(len(order), (64,))], tokenizer)
                noise = Noise.of(0, batch.index, "train", step)
                loss = model.losses(batch, noise=noise).total.mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                ema.update(model, images_seen=64 * step, step_images=64)

        return seconds(loop)

    spent = {"lightning": lightning, "bare": bare}
    for action in spent.values():
        action()
    best = dict.fromkeys(spent, float("inf"))
    for _ in range(rounds):
        for name, action in spent.items():
            best[name] = min(best[name], action())
    return {
        "lightning_images_per_second": 64 * steps / best["lightning"],
        "bare_loop_images_per_second": 64 * steps / best["bare"],
        "share_of_bare": best["bare"] / best["lightning"],
    }


@case
def noise() -> Numbers:
    """Random numbers for a batch, against a generator a sample; fresh streams, as a step has them.

    `go_on` continues existing streams, as a sampler does.
    """
    import torch

    from genzoo.core.noise import Noise, split_seed

    def generators(seeds: list[int]) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(split_seed(seed, "fresh")) for seed in seeds]

    def compared(batch: int, shape: tuple[int, ...], rounds: int, *, whole: bool) -> Numbers:
        parent, seeds = Noise.of(0, range(batch)), list(range(batch))
        on, ready = parent.child("go on"), generators(seeds)

        def theirs(sources: list[torch.Generator]) -> None:
            if whole:
                torch.stack([torch.randint(1000, shape, generator=g) for g in sources])
            else:
                torch.stack([torch.randn(shape, generator=g) for g in sources])

        def ours(source: Noise) -> None:
            _ = source.integers(1000, *shape) if whole else source.normal(*shape)

        times = in_turns(
            rounds,
            fresh_generators=lambda: theirs(generators(seeds)),
            fresh=lambda: ours(parent.child("fresh")),
            go_on_generators=lambda: theirs(ready),
            go_on=lambda: ours(on),
        )
        name = "x".join(str(n) for n in (batch, *shape)) + ("_whole" if whole else "")
        return {
            f"{name}_seconds": times["fresh"],
            f"{name}_speed_over_generators": times["fresh_generators"] / times["fresh"],
            f"{name}_go_on_speed_over_generators": times["go_on_generators"] / times["go_on"],
        }

    found: Numbers = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch, shape, rounds in (
            (32, (), 200),
            (32, (3, 16, 16), 200),
            (64, (3, 16, 16), 200),
            (64, (3, 32, 32), 100),
            (256, (3, 64, 64), 11),
            (64, (3, 256, 256), 5),
        ):
            for whole in (True, False) if not shape else (False,):
                numbers = compared(batch, shape, rounds, whole=whole)
                found |= {f"threads_{threads}_{key}": value for key, value in numbers.items()}
    return found


@case
def start_up() -> Numbers:
    """Wall seconds of commands, medians of five, in turns."""

    def command(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )

    times = in_turns(
        5,
        help=command("-m", "genzoo", "--help"),
        hydra=command("-c", "import hydra"),
        torch=command("-c", "import torch"),
        sample=command("-c", "import genzoo.tasks.sample"),
        evaluate=command("-c", "import genzoo.tasks.evaluate"),
        fit=command("-c", "import genzoo.tasks.fit"),
    )
    allowed = 1.3 * times["hydra"] + 0.2
    return {
        **{f"{name}_seconds": value for name, value in times.items()},
        "help_allowed_seconds": allowed,
    }


@case
def cpu_switches() -> Numbers:
    """Images/s with and without what genzoo sets at start-up, and beside a busy process."""
    here = Path(__file__).parent
    rates: Numbers = {}

    def measured(what: str, keep: bool, **environment: str) -> float:
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("OMP_", "GOMP_", "GLIBC_"))
        }
        result = subprocess.run(
            [sys.executable, str(here / "cpu_worker.py"), what, str(int(keep))],
            env={**clean, **environment, "PYTHONPATH": str(here.parent)},
            check=True,
            capture_output=True,
            text=True,
        )
        return float(result.stdout.split()[-1])

    bound = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "OMP_WAIT_POLICY": "passive"}
    for what in ("extractor", "vae"):
        for keep in (False, True):
            name = "kept_memory" if keep else "glibc_default"
            rates[f"{what}_{name}_images_per_second"] = measured(what, keep, **bound)
        rates[f"{what}_kept_over_default"] = (
            rates[f"{what}_kept_memory_images_per_second"]
            / rates[f"{what}_glibc_default_images_per_second"]
        )
    waits = {"active": ("active", None), "passive": ("passive", None), "spin": ("passive", "1000")}

    def waiting(where: str) -> None:
        for name, (policy, spin) in waits.items():
            turns = {} if spin is None else {"GOMP_SPINCOUNT": spin}
            rates[f"vae_{where}_{name}_images_per_second"] = measured(
                "vae", True, OMP_WAIT_POLICY=policy, **turns
            )

    waiting("quiet")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        waiting("busy_neighbour")
    finally:
        busy.kill()
        busy.wait()
    return rates


@case
def unet() -> Numbers:
    """The reference's U-Net at 64 px: plain, ours, diffusers'; forward, backward, sampling."""
    here = Path(__file__).parent

    def measured(keep: bool, *variants: str) -> Numbers:
        result = subprocess.run(
            [sys.executable, str(here / "unets.py"), str(int(keep)), ",".join(variants)],
            env={**os.environ, "PYTHONPATH": str(here.parent)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        numbers: Numbers = json.loads(result.stdout.splitlines()[-1])
        return numbers

    kept = measured(True, "plain", "sdpa", "channels_last", "both", "compiled", "diffusers")
    default = measured(False, "plain", "both")
    kept |= {
        f"glibc_default_{name}": value for name, value in default.items() if "seconds" in name
    }
    for what in ("forward", "forward_backward", "guided_sampling"):
        ours = kept[f"{what}_both_seconds"]
        plain = default[f"{what}_plain_seconds"]  # as the reference's code runs by itself
        kept[f"{what}_speed_over_plain"] = plain / ours
        kept[f"{what}_speed_over_diffusers"] = kept[f"{what}_diffusers_seconds"] / ours
        kept[f"{what}_compiled_over_plain"] = plain / kept[f"{what}_compiled_seconds"]
    return kept
