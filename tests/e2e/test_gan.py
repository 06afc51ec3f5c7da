"""The game of two networks by its commands: resuming, two processes, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small import AGAIN, DATA, METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]

GAN = (
    "model=gan",
    "model.latent=8",
    "model.features=16",
    "model.generator.widths=[8,16]",
    "model.discriminator.widths=[8,16]",
    *DATA,
    *TRAINING,
    *METRICS,
)


def state(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return content


def test_a_game_goes_on_where_it_stopped_bit_for_bit(genzoo: Run, tmp_path: Path) -> None:
    """With everything that has a state: uneven turns and adaptive augmentation."""
    uneven = (
        "optimizer.discriminator.steps=2",
        "model.augmentation.mode=adaptive",
        "model.augmentation.target=-1.0",  # the lowest signal: the probability rises
    )
    assert genzoo(*GAN, *uneven, "hydra.run.dir=whole")[0] == 0
    assert genzoo(*GAN, *uneven, "budget.images=48", "hydra.run.dir=half")[0] == 0
    status, _, error = genzoo("checkpoint=half", *AGAIN, "budget.images=96", "hydra.run.dir=rest")
    assert status == 0, error
    whole, rest = state(tmp_path / "whole"), state(tmp_path / "rest")
    assert whole["state_dict"]["model.augmentation.probability"] != 0
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, rest["state_dict"][name]), name
    steps = [optimizer["state"][0]["step"].item() for optimizer in whole["optimizer_states"]]
    assert steps == [6, 3]  # of the discriminator and of the generator
    lines = (tmp_path / "whole" / "curves.jsonl").read_text().splitlines()
    curve = [json.loads(line) for line in lines]
    for side in ("discriminator", "generator"):
        assert f"train/{side}/total" in curve[-1]
        assert curve[-1][f"train/{side}/gradient_norm"] > 0
    for name in ("accuracy_real", "accuracy_generated", "overfitting"):
        assert f"train/discriminator/{name}" in curve[-1]


def test_accumulating_makes_fewer_steps(genzoo: Run, tmp_path: Path) -> None:
    assert genzoo(*GAN, "optimizer.accumulate=3", "hydra.run.dir=run")[0] == 0
    optimizers = state(tmp_path / "run")["optimizer_states"]
    assert [o["state"][0]["step"].item() for o in optimizers] == [2, 2]


@pytest.mark.dist
def test_two_processes_play_one_game(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(*GAN, "trainer.processes=2", "hydra.run.dir=two")
    assert status == 0, error
    assert (tmp_path / "two" / "results.json").exists()


def test_sharding_is_refused_with_what_to_use(genzoo: Run) -> None:
    status, _, error = genzoo(*GAN, "strategy=fsdp", "trainer.processes=2")
    assert status == 2
    assert "two" in error
    assert "auto, ddp" in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (("optimizer.lr=1e30",), ["became nan"]),
        # weights that shrink to nothing: every latent point and caption gives the same image
        (("optimizer.weight_decay=900.0", "trainer.monitor_images=32"), ["collapsed", "alike"]),
    ],
    ids=["nan", "collapse"],
)
def test_a_broken_game_is_named_and_the_good_state_kept(
    genzoo: Run, tmp_path: Path, broken: tuple[str, ...], words: list[str]
) -> None:
    assert genzoo(*GAN, "hydra.run.dir=run")[0] == 0
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    good = path.read_bytes()
    again = [argument for argument in AGAIN if "monitor_images" not in argument]
    status, _, error = genzoo(
        "checkpoint=run", *again, *broken, "budget.images=480", "trainer.log_images=32",
        "hydra.run.dir=run",
    )  # fmt: skip
    assert status == 1
    lines = [line for line in error.splitlines() if line.startswith("genzoo: ")]
    assert len(lines) == 1, error
    for word in (*words, f"checkpoint={tmp_path / 'run'}"):
        assert word in lines[0]
    assert path.read_bytes() == good
