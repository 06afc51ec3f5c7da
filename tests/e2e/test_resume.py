"""A training that was cut off anywhere ends where an undisturbed one does, bit for bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.families import FAMILIES, SMALL
from genzoo.lit.callbacks import ImageCounter
from genzoo.tasks import fit, validation

Run = Callable[..., tuple[int, str, str]]

TRAINING = (
    *SMALL, "budget.images=88", "trainer.log_images=20", "trainer.monitor_images=40",
    "trainer.validation_images=4",
)  # fmt: skip


@pytest.fixture
def training(genzoo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A training without the evaluation after it: arguments -> (status, stdout, stderr)."""
    monkeypatch.setattr(fit, "evaluate", lambda *_, **__: {})
    monkeypatch.setattr(validation, "MONITOR_SAMPLES", 4)

    def run(*arguments: str, folder: str) -> tuple[int, str, str]:
        return genzoo(*TRAINING, *arguments, f"hydra.run.dir={folder}")

    return run


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A signal to this process after so many batches of the next training."""
    after_step = ImageCounter.after_step

    def order(batches: int, number: int = signal.SIGTERM) -> None:
        seen = 0

        def counted(*arguments: Any) -> None:
            nonlocal seen
            after_step(*arguments)
            seen += 1
            if seen == batches:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(ImageCounter, "after_step", counted)

    return order


def content(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def same(one: Any, other: Any, path: str = "") -> None:
    """Whether all tensors and all plain data are equal."""
    assert type(one) is type(other), path
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key, value in one.items():
            same(value, other[key], f"{path}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            same(a, b, f"{path}[{number}]")
    else:
        assert one == other, path


def same_training(one: Path, other: Path) -> None:
    a, b = content(one), content(other)
    assert a["genzoo"]["images_seen"] == b["genzoo"]["images_seen"]
    for key in ("state_dict", "optimizer_states", "meter", "callbacks"):
        same(a[key], b[key], key)
    assert curves(one) == curves(other)


def curves(folder: Path) -> list[dict[str, Any]]:
    points = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    return [{key: value for key, value in p.items() if key != "seconds"} for p in points]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "unclip"])
def test_an_accumulating_run_goes_on_in_the_middle_of_a_step(
    training: Run, signalled: Callable[..., None], tmp_path: Path, family: str
) -> None:
    own = ("optimizer.accumulate=3", *FAMILIES[family])
    step = 8 if "optimizer.accumulate=1" in own else 24
    status, _, error = training(*own, folder="whole")
    assert status == 0, error
    assert content(tmp_path / "whole")["genzoo"]["images_seen"] == (88 if step == 8 else 96)
    seen = 0
    for batches in (5, 4):
        signalled(batches)
        status, out, error = training(*own, folder="cut")
        assert status == 143, error
        seen = (seen + 8 * batches) // step * step
        assert f"stopped after {seen} images; continue with checkpoint=" in out
        assert error == "genzoo: interrupted by SIGTERM\n"
        assert content(tmp_path / "cut")["genzoo"]["images_seen"] == seen
    signalled(10**9)
    status, out, error = training(*own, folder="cut")
    assert status == 0, error
    same_training(tmp_path / "whole", tmp_path / "cut")
