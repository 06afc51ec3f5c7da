"""guidance.scale=tuned: found on captions of its own, stamped, refused where it means nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import genzoo as package
from bench.families import FAMILIES, SMALL
from genzoo.tasks import tuning
from genzoo.tasks.measuring import caption_order
from tests.shell import Command

Run = Callable[..., tuple[int, str, str]]
TUNED = ("guidance.scale=tuned", "metrics.tuning.images=8", "metrics.tuning.trials=3")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GLIDE that has seen two batches."""
    folder = tmp_path_factory.mktemp("trained")
    done = Command(
        *SMALL, *FAMILIES["glide"], "budget.images=16", "trainer.monitor_images=null",
        "hydra.run.dir=run", cwd=folder,
    ).wait()  # fmt: skip
    assert done.status == 0, done.err
    return folder / "run"


def evaluated(genzoo: Run, trained: Path, *arguments: str) -> tuple[int, str, str]:
    own = [a for a in SMALL if a.startswith(("metrics.", "trainer.", "logger"))]
    return genzoo("task=evaluate", f"checkpoint={trained}", *own, "sampler.steps=2", *arguments)


def test_the_best_of_the_scales_is_measured_on_other_captions(
    genzoo: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[int]] = []
    real = tuning.measure_samples

    def recorded(*arguments: Any, order: list[int], **named: Any) -> float:
        orders.append(order)
        return real(*arguments, order=order, **named)

    monkeypatch.setattr(tuning, "measure_samples", recorded)
    status, out, error = evaluated(genzoo, trained, *TUNED, "hydra.run.dir=out")
    assert status == 0, error
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    found = results["tuning"]
    assert [len(order) for order in orders] == [8, 8, 8]
    best = min(found["tried"], key=lambda trial: trial["value"])
    assert len(found["tried"]) == 3
    assert found["scale"] == pytest.approx(best["scale"], abs=1e-3)
    assert found["metric"] == "kernel_distance/efficientnet_lite0"
    for entry in results["metrics"].values():
        words = entry["stamp"].get("guidance")
        assert words is None or f"classifier_free {found['scale']}, tuned by" in words
    assert f"guidance.scale={best['scale']:.4g}: {found['metric']} {best['value']:.4g}" in out
    # The same evaluation at this number is the same but for what the stamp says.
    number = (f"guidance.scale={found['scale']}", "hydra.run.dir=number")
    assert evaluated(genzoo, trained, *number)[0] == 0
    plain = json.loads((tmp_path / "number" / "results.json").read_text())
    for name, entry in results["metrics"].items():
        assert plain["metrics"][name]["value"] == entry["value"]


def test_captions_of_the_search_are_not_those_of_the_measurement() -> None:
    data = package.data.open("shapes", image_size=16, source={"count": 120})
    cfg = OmegaConf.create(
        {"metrics": {"extractors": ["x"], "caption_split": "train", "seed": 1, "images": 30,
                     "tuning": {"images": 20}}}
    )  # fmt: skip
    searched = tuning._other_captions(cfg, data)
    assert len(searched) == 20
    assert not set(searched) & set(caption_order(cfg, data)[:30])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("task=sample", "prompt=a red circle"),
            "is found by task=evaluate, and this is task=sample",
        ),
        (("task=evaluate", "metrics.tuning.images=110"), "needs 110 captions beside the 8"),
        (("task=evaluate", "metrics.tuning.between=[3,3]"), "is one scale"),
        (("task=evaluate", "metrics.tuning.images=3"), "are too few for metrics.neighbours=3"),
        (("task=evaluate", "guidance.scale=tunned"), "tuned"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_a_line(
    genzoo: Run, trained: Path, arguments: tuple[str, ...], words: str
) -> None:
    own = [a for a in SMALL if a.startswith(("metrics.", "trainer.", "logger"))]
    status, _, error = genzoo(f"checkpoint={trained}", *own, *TUNED, *arguments)
    assert status != 0
    assert words in error
