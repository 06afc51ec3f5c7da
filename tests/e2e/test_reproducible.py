"""The same command gives the same numbers; resuming and batch sizes change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from genzoo.metrics.stamp import comparable
from genzoo.report.comparison import compare_runs
from genzoo.report.runs import load_run
from tests.small import AGAIN, SMALL

Run = Callable[..., tuple[int, str, str]]


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def weights(folder: Path) -> dict[str, Tensor]:
    path = folder / "checkpoints" / "last.ckpt"
    state: dict[str, Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state


def without_times(content: dict[str, Any]) -> dict[str, Any]:
    """What is left when times, memory and the command's own words are taken away."""
    kept = {key: value for key, value in content.items() if key not in ("sampling", "command")}
    kept["training"] = {"images_seen": content["training"]["images_seen"]}
    return kept


@pytest.mark.parametrize("model", ["autoencoder", "vae"])
def test_the_same_command_writes_the_same_results(genzoo: Run, tmp_path: Path, model: str) -> None:
    for name in ("a", "b"):
        status, _, error = genzoo(f"model={model}", *SMALL, f"hydra.run.dir={name}")
        assert status == 0, error
    a, b = tmp_path / "a", tmp_path / "b"
    assert without_times(results(a)) == without_times(results(b))
    assert (a / "gallery" / "sample-3.png").read_bytes() == (
        b / "gallery" / "sample-3.png"
    ).read_bytes()


def test_a_resumed_run_ends_at_the_same_weights(genzoo: Run, tmp_path: Path) -> None:
    assert genzoo("model=vae", *SMALL, "hydra.run.dir=whole")[0] == 0
    assert genzoo("model=vae", *SMALL, "budget.images=48", "hydra.run.dir=half")[0] == 0
    status, out, error = genzoo(
        "checkpoint=half",
        *AGAIN,
        "budget.images=96",
        "trainer.log_images=32",
        "hydra.run.dir=rest",
    )
    assert status == 0, error
    assert "after 48 images" in out
    whole, rest = weights(tmp_path / "whole"), weights(tmp_path / "rest")
    assert whole.keys() == rest.keys()
    for name in whole:
        assert torch.equal(whole[name], rest[name]), name
    assert not torch.equal(whole["model.log_scale"], weights(tmp_path / "half")["model.log_scale"])
    lines = (tmp_path / "rest" / "curves.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"] for line in lines] == [32, 48, 64, 96]


def test_a_used_up_budget_is_said_and_nothing_is_lost(genzoo: Run, tmp_path: Path) -> None:
    assert genzoo("model=autoencoder", *SMALL, "hydra.run.dir=a")[0] == 0
    before = (tmp_path / "a" / "curves.jsonl").read_bytes()
    status, _, error = genzoo("checkpoint=a", *AGAIN, "hydra.run.dir=a")
    assert status == 2
    assert "used up its budget: 96 images" in error
    assert (tmp_path / "a" / "curves.jsonl").read_bytes() == before
    assert (tmp_path / "a" / "results.json").exists()


def test_a_training_is_known_apart_from_how_it_is_measured(genzoo: Run, tmp_path: Path) -> None:
    """Sampling seeds looked like trainings, and `metrics.seed` was in no stamp."""
    assert genzoo("model=vae", *SMALL, "seed=4", "hydra.run.dir=a")[0] == 0
    again = ("task=evaluate", "checkpoint=a", *AGAIN)
    assert genzoo(*again, "seed=5", "hydra.run.dir=b")[0] == 0
    assert genzoo(*again, "metrics.seed=1", "hydra.run.dir=c")[0] == 0
    a, b, c = (results(tmp_path / name) for name in "abc")
    assert [r["training"]["seed"] for r in (a, b, c)] == [4, 4, 4]
    assert len({r["training"]["checkpoint"] for r in (a, b, c)}) == 1
    own, sampled, chosen = (
        r["metrics"]["frechet_distance/efficientnet_lite0"]["stamp"] for r in (a, b, c)
    )
    seeds = [(s["training_seed"], s["sample_seed"], s["evaluation_seed"]) for s in (own, sampled)]
    assert seeds == [(4, 4, 2020), (4, 5, 2020)]
    assert comparable(own, sampled) == []
    assert comparable(own, chosen) == ["captions", "real_indices"]
    (entry,) = compare_runs([load_run(tmp_path / name) for name in "ab"]).entries
    assert (len(entry.runs), entry.trainings) == (2, 1)


def test_another_batch_size_draws_the_same_images_and_numbers(genzoo: Run, tmp_path: Path) -> None:
    assert genzoo("model=vae", *SMALL, "hydra.run.dir=a")[0] == 0
    status, _, error = genzoo(
        "task=evaluate", "checkpoint=a", *AGAIN, "metrics.batch=7", "hydra.run.dir=b"
    )
    assert status == 0, error
    a, b = results(tmp_path / "a")["metrics"], results(tmp_path / "b")["metrics"]
    assert a.keys() == b.keys()
    for name in a:
        assert a[name]["value"] == pytest.approx(b[name]["value"], abs=5e-5, rel=1e-6), name
        assert a[name]["stamp"] == b[name]["stamp"]
    for batch in (1, 5):
        folder = f"s{batch}"
        status, _, error = genzoo(
            "task=sample", "checkpoint=a", "count=5", f"batch={batch}", f"hydra.run.dir={folder}"
        )
        assert status == 0, error
    one = Image.open(tmp_path / "s1" / "samples" / "00004.png")
    five = Image.open(tmp_path / "s5" / "samples" / "00004.png")
    assert one.tobytes() == five.tobytes()
