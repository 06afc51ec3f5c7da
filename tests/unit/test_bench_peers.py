"""The peer benchmark, in seconds: no peer is trained for long and nothing is fetched."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from bench.peers import dcgan, measure, results, settings, table
from bench.peers.arena import Clock, Stream, count, sized
from bench.peers.contestants import CONTESTANTS, Contestant
from genzoo.config.composition import compose
from genzoo.config.values import plain
from genzoo.core.image import to_float
from genzoo.core.noise import Noise
from genzoo.core.types import Capabilities, Condition
from genzoo.machine.track import Tracker
from genzoo.models.base import GenerativeModel, identity
from genzoo.run import build
from genzoo.tasks.evaluate import evaluate
from genzoo.tasks.results import Cost

TINY = settings.Settings(
    minutes=0.1,
    threads=1,
    samples=24,
    real_images=40,
    held_out_images=8,
    seed=0,
    data="fashion_mnist",
)
FRECHET = measure.FRECHET


def stream(count: int = 12) -> Stream:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Stream(images, torch.arange(count) % 10, seed=0)


def test_dcgan_has_the_customary_shapes_and_learns() -> None:
    torch.manual_seed(0)
    net = dcgan.DCGAN(4)
    real, _ = next(stream(64).batches(64))
    before = [p.clone() for p in (*net.g.parameters(), *net.d.parameters())]
    losses = [net.step(to_float(real))[0] for _ in range(12)]
    after = (*net.g.parameters(), *net.d.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert losses[-1] < losses[0]
    for draw in net.variants().values():
        images = draw(3)
        assert images.shape == (3, 3, 32, 32)
        assert images.dtype == torch.uint8


def test_the_classic_dcgan_has_as_many_parameters_as_its_layers_say() -> None:
    n = dcgan.CLASSIC
    generator = 16 * (100 * 4 * n + 8 * n * n + 2 * n * n + 3 * n) + 2 * 7 * n
    discriminator = 16 * (3 * n + 2 * n * n + 8 * n * n + 4 * n) + 2 * 6 * n
    assert count(dcgan.generator(n)) == generator
    assert count(dcgan.discriminator(n)) == discriminator


def test_sized_finds_the_nearest() -> None:
    assert sized(50, range(1, 20), lambda n: n * n) == 7


def test_an_epoch_has_every_image_once_and_the_clock_counts() -> None:
    source, clock = stream(12), Clock(60.0)
    batches = source.batches(4)
    labels = []
    for _ in range(3):
        assert clock.left()
        images, part = next(batches)
        clock.saw(len(images))
        labels += part.tolist()
    assert sorted(labels) == sorted(source.labels.tolist())
    assert clock.images_seen == 12


class Given(GenerativeModel):
    """Samples that are given, in their order."""

    capabilities = Capabilities(sampling="given", conditions=frozenset())

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images, self.drawn = images, 0

    def sample(
        self, cond: Condition, shape: Any, *, noise: Noise, guidance: Any = identity
    ) -> Tensor:
        first, self.drawn = self.drawn, self.drawn + len(cond)
        rows = torch.arange(first, self.drawn) % len(self.images)
        return to_float(self.images[rows])


def test_given_images_score_as_in_genzoos_own_evaluation(tmp_path: Path) -> None:
    given = stream(TINY.samples).images
    overrides = [o for o in TINY.overrides() if not o.startswith("data=")]
    composed = compose(*overrides, "data=shapes", "data.source.count=80")
    about = {"folder": str(tmp_path), "command": "test", "group": None}
    cfg: Any = OmegaConf.create({**plain(composed), "run": about})
    data = build.build_data(cfg)
    with Tracker(cfg) as tracker:
        own = evaluate(
            cfg,
            Given(given),
            data=data,
            tokenizer=build.build_tokenizer(cfg, data, None),
            cost=Cost(images_seen=0, seconds=1.0),
            tracker=tracker,
        )
    source = Given(given)

    def draw(n: int) -> Tensor:
        source.drawn += n
        return given[source.drawn - n : source.drawn]

    taken = measure.samples(cfg, data, draw)
    assert {name: entry["value"] for name, entry in taken.entries.items()} == {
        name: own[name] for name in taken.entries
    }
    stored = json.loads((tmp_path / "results.json").read_text())["metrics"]
    assert taken.entries[FRECHET]["stamp"] == stored[FRECHET]["stamp"]
    low, high = stored[FRECHET]["interval"]
    assert low < stored[FRECHET]["value"] < high
    assert stored[FRECHET]["standard_error"] == taken.entries[FRECHET]["standard_error"]
    assert torch.equal(taken.images, given[: measure.SHOWN])


@pytest.mark.filterwarnings("ignore:torch.lu is deprecated")
def test_glows_bits_are_those_of_its_density() -> None:
    pytest.importorskip("normflows")
    from bench.peers import glow

    torch.manual_seed(0)
    made = glow.Glow(0, 8, temperatures=(1.0,))  # no steps: a standard normal of the pixels
    for p in made.flow.parameters():
        p.data.zero_()
    images, labels = next(stream(4).batches(4))
    torch.manual_seed(1)
    bits = made.bits_per_dim(images, labels)
    torch.manual_seed(1)
    y = (images + torch.rand(images.shape)) / 256
    nats = 0.5 * (y.square() + math.log(2 * math.pi)).flatten(1).mean(1)
    torch.testing.assert_close(bits, nats / math.log(2) + 8)
    made = glow.Glow(1, 8, temperatures=(1.0, 0.8))
    assert made._shares.shape == (10,)
    assert made.parameters == glow._parameters(1, 8)
    assert glow._parameters(2, 20) == count(glow.build(2, 20))
    with torch.no_grad():
        assert made.variants()["temperature 0.8"](2).shape == (2, 3, 32, 32)


def record(value: float, error: float | None = 0.5, **about: Any) -> dict[str, Any]:
    stamp = {"metric": FRECHET, "generated_images": 24}
    entry = {"value": value, "spread": None, "better": "lower", "stamp": stamp}
    if error is not None:
        entry |= {"standard_error": error, "interval": [value - 2 * error, value + 2 * error]}
    return {
        "metrics": {FRECHET: entry}, "parameters": 10, "batch": 64, "dequantisation": None,
        "images_seen": 640, "training_seconds": 6.0, "samples_per_second": 100.0, "drawn": None,
        "variants": {}, "date": "2026-01-31", "git": "abc", "versions": {"torch": "2"}, **about,
    }  # fmt: skip


def test_the_table_ranks_only_equal_conditions(tmp_path: Path) -> None:
    here = {**settings.conditions(TINY), "processor": "a processor"}
    elsewhere = {**here, "minutes": 5.0}
    groups = results.merge([], here, "dcgan", record(30.0))
    groups = results.merge(groups, elsewhere, "gan", record(10.0))
    assert [list(group["contestants"]) for group in groups] == [["dcgan"], ["gan"]]
    assert "**" not in table.markdown(groups)
    groups = results.merge(groups, here, "gan", record(20.0))
    groups = results.merge(groups, here, "dcgan", record(25.0))  # measured anew
    results.write(tmp_path, groups)
    text = table.markdown(results.read(tmp_path))
    assert text.count("\n## ") == 2
    assert "| genzoo GAN | **20 [19, 21]** |" in text
    assert "Fréchet distance ahead by 5" in text
    assert "30" not in text.split("### GANs")[1].split("\n\n")[1]


def test_numbers_measured_differently_are_not_ranked() -> None:
    other = record(20.0)
    other["metrics"][FRECHET]["stamp"]["generated_images"] = 5000
    groups = results.merge([], settings.conditions(TINY), "gan", other)
    groups = results.merge(groups, settings.conditions(TINY), "dcgan", record(30.0))
    text = table.markdown(groups)
    assert "**" not in text
    assert "not ranked (generated_images differ)" in text


@pytest.mark.parametrize(
    ("error", "words"),
    [(4.0, "ahead by 5, not separated (p 0.38)"),
     (None, "ahead by 5, not separated (no interval recorded)")],
)  # fmt: skip
def test_contestants_may_be_equal(error: float | None, words: str) -> None:
    """The lower of two Fréchet distances, which have no spread, always won."""
    here = settings.conditions(TINY)
    groups = results.merge([], here, "gan", record(20.0, error))
    groups = results.merge(groups, here, "dcgan", record(25.0, error))
    text = table.markdown(groups)
    assert f"Fréchet distance {words}" in text
    assert "**" not in text
    assert text.count("≈ 2") == 2


def test_one_that_was_measured_otherwise_leaves_the_others_their_verdict() -> None:
    here = settings.conditions(TINY)
    other = record(10.0)
    other["metrics"][FRECHET]["stamp"]["generated_images"] = 5000
    groups = results.merge([], here, "gan", record(20.0))
    groups = results.merge(groups, here, "dcgan", record(25.0))
    text = table.markdown(results.merge(groups, here, "gigagan", other))
    assert "Fréchet distance ahead by 5" in text
    assert "not ranked (generated_images differ)" in text


def test_a_failed_contestant_says_so() -> None:
    absent = Contestant("absent", "gan", "absent:absent", packages=("no-such-package-at-all",))
    failed = {"error": "no such library", **results.about(absent)}
    assert failed["versions"]["no-such-package-at-all"] == "not installed"
    groups = results.merge([], settings.conditions(TINY), "gigagan", failed)
    assert "failed: no such library" in table.markdown(groups)


def test_conditions_name_no_host_and_ours_compose() -> None:
    assert set(settings.conditions(TINY)) == {
        "minutes", "threads", "samples", "real_images", "held_out_images", "seed", "data",
        "image_size", "processor", "cores", "torch", "keep_memory", "openmp",
    }  # fmt: skip
    for contestant in CONTESTANTS.values():
        if contestant.ours:
            cfg = compose(*contestant.model, *TINY.overrides())
            assert (cfg.metrics.images, cfg.cpu.threads, cfg.budget.images) == (24, 1, None)


def test_the_diffusion_peer_learns_draws_and_averages() -> None:
    pytest.importorskip("denoising_diffusion_pytorch")
    from bench.peers import ddpm

    torch.manual_seed(0)
    made = ddpm.DDPM(8, 32)
    before = [parameter.clone() for parameter in made.average.parameters()]
    source = stream(8)
    clock = Clock(0.0)
    made.train(source, clock)
    assert clock.images_seen == 0
    assert math.isfinite(made.step(source.images))
    moved = [
        not torch.equal(old, new)
        for old, new in zip(before, made.average.parameters(), strict=True)
    ]
    assert any(moved)
    for draw in made.variants().values():
        with torch.no_grad():
            images = draw(2)
        assert images.shape == (2, 3, 32, 32)
        assert images.dtype == torch.uint8
    assert ddpm._parameters(16) > made.parameters == ddpm._parameters(8)
