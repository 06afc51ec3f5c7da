"""metrics.during: quality is measured while a model is trained, and changes nothing of it."""

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
from genzoo.tasks import fit, quality

Run = Callable[..., tuple[int, str, str]]
FRECHET = "quality/frechet_distance/efficientnet_lite0"
# An autoencoder samples from a distribution that is fitted to its codes: not by weights alone.
TRAINING = (*SMALL, *FAMILIES["autoencoder"], "budget.images=64", "trainer.monitor_images=null")
DURING = ("metrics.during=[20,40]", "metrics.during_images=8")


@pytest.fixture
def training(genzoo: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A training without the evaluation after it."""
    monkeypatch.setattr(fit, "evaluate", lambda *_, **__: {})

    def run(*arguments: str, folder: str) -> tuple[int, str, str]:
        return genzoo(*TRAINING, *arguments, f"hydra.run.dir={folder}")

    return run


def points(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "curves.jsonl").read_text().splitlines()
    return [point for point in map(json.loads, lines) if "quality/samples" in point]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(
        folder / "checkpoints" / "last.ckpt", weights_only=True
    )["state_dict"]
    return state


def test_it_is_measured_at_its_budgets_and_leaves_the_training_alone(
    training: Run, tmp_path: Path
) -> None:
    assert training(*DURING, folder="measured")[0] == 0
    assert training(folder="plain")[0] == 0
    found = points(tmp_path / "measured")
    assert [point["images"] for point in found] == [24, 40]  # the first steps that reach them
    assert all(point["quality/samples"] == 8 and point[FRECHET] > 0 for point in found)
    assert found[0][FRECHET] != found[1][FRECHET]
    assert points(tmp_path / "plain") == []
    one, other = weights(tmp_path / "measured"), weights(tmp_path / "plain")
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_one_that_is_interrupted_is_made_when_the_training_goes_on(
    training: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert training(*DURING, folder="whole")[0] == 0
    real = quality.sample_metrics

    def interrupted(*arguments: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(quality, "sample_metrics", interrupted)
        status, out, error = training(*DURING, folder="cut")
    assert status == 143, error
    assert "stopped after 24 images" in out
    assert not (tmp_path / "cut" / "curves.jsonl").exists()
    status, _, error = training(*DURING, folder="cut")
    assert status == 0, error
    whole, cut = points(tmp_path / "whole"), points(tmp_path / "cut")
    assert [p["images"] for p in cut] == [24, 40]
    assert [p[FRECHET] for p in cut] == [p[FRECHET] for p in whole]


def test_minutes_count_too(training: Run, tmp_path: Path) -> None:
    assert training("metrics.during=[0.0001min]", DURING[1], folder="run")[0] == 0
    assert [point["images"] for point in points(tmp_path / "run")] == [8]


@pytest.mark.parametrize("wrong", ["5minutes", "-3", "soon", "0"])
def test_what_is_no_budget_is_refused(training: Run, wrong: str) -> None:
    status, _, error = training(f"metrics.during=[{wrong}]", folder="run")
    assert status != 0
    assert "metrics.during" in error
    assert "minutes such as 5min" in error


def test_too_few_samples_are_refused_before_the_training(training: Run) -> None:
    status, _, error = training("metrics.during=[20]", "metrics.during_images=3", folder="run")
    assert status != 0
    assert "metrics.during_images=3 are too few for metrics.neighbours=3" in error
