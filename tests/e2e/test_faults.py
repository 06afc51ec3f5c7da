"""Each mistake is one line that says what is wrong and what to type instead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from genzoo.command.job import ERROR, Failures
from tests.small import SMALL

Run = Callable[..., tuple[int, str, str]]

MISTAKES = [
    (["model=vea"], 2, ["no model=vea", "did you mean model=vae"]),
    (["modle=vae"], 2, ["no key modle", "did you mean model"]),
    (
        ["model=gan", "model.discriminator.widht=[8]"],
        2,
        ["did you mean model.discriminator.widths"],
    ),
    (["model=flow", "model/arch=tarflo"], 2, ["no model/arch=tarflo", "model/arch=tarflow"]),
    (["model=vae", "model/arch=glow"], 2, ["model/arch=", "choose the model="]),
    (["data.image_siz=16"], 2, ["no key data.image_siz", "data.image_size"]),
    (["data=openmojy"], 2, ["no data=openmojy", "openmoji"]),
    (["seed=0", "budget.images=0"], 2, ["budget.images=0", "above 0"]),
    (["budget.images=null"], 2, ["no end", "budget.minutes="]),
    (["trainer.gpus=4096"], 2, ["trainer.gpus=4096", "write trainer.gpus="]),
    (["strategy=fsdp", "trainer.gpus=0"], 2, ["several processes", "trainer.processes="]),
    (["strategy=deepspeed"], 2, ["there is no strategy=deepspeed", "auto, ddp, fsdp"]),
    (["trainer.nodes=2", "trainer.gpus=0"], 2, ["trainer.nodes=2", "torchrun"]),
    (["trainer.processes=3", "trainer.gpus=0"], 2, ["cannot be shared", "multiple"]),
    (["checkpoint=nowhere.ckpt"], 2, ["no checkpoint nowhere.ckpt", "`last`", "zoo/glide"]),
    (["checkpoint=last", "output=empty"], 2, ["no run with a checkpoint", "train one"]),
    (["task=sample"], 2, ["needs a trained model", "checkpoint="]),
    (["task=compare"], 2, ["runs is missing", "runs="]),
    (["task=compare", "runs=nowhere"], 2, ["nowhere"]),
    (["seed=[a"], 2, ["quote"]),
    (["data=folder", "data.root=nowhere"], 2, ["nowhere"]),
    (["hydra.run.dir=/proc/genzoo"], 2, ["/proc/genzoo", "hydra.run.dir="]),
    (["data.image_size=-1"], 2, ["data.image_size"]),
]


@pytest.mark.parametrize(("arguments", "status", "words"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_clear_line(
    genzoo: Run, arguments: list[str], status: int, words: list[str]
) -> None:
    code, _, error = genzoo("logger=none", *arguments)
    lines = [line for line in error.splitlines() if line.strip()]
    assert len(lines) == 1, error
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]
    assert code == status


def checkpoint(path: Path, kind: str) -> None:
    if kind == "truncated":
        torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    elif kind == "pickle":
        torch.save({"genzoo": Evil()}, path)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_only_a_sweeps_own_failures_are_its_status(tmp_path: Path) -> None:
    since = time.time()
    for name, age in (("before", -60), ("during", 60)):
        file = tmp_path / name / ERROR
        file.parent.mkdir()
        file.write_text("no luck\n")
        os.utime(file, (since + age, since + age))
        failures = Failures()
        failures.collect(tmp_path, since=since)
        assert failures.status == (name == "during")


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "other", "pickle"])
def test_a_bad_checkpoint_is_refused_and_not_executed(
    genzoo: Run, tmp_path: Path, kind: str
) -> None:
    checkpoint(tmp_path / "bad.ckpt", kind)
    status, _, error = genzoo("task=sample", "checkpoint=bad.ckpt")
    assert status in (1, 2)
    assert len(error.strip().splitlines()) == 1, error
    assert "bad.ckpt" in error
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_of_another_model_is_refused(genzoo: Run) -> None:
    assert genzoo("model=vae", *SMALL, "hydra.run.dir=a")[0] == 0
    status, _, error = genzoo("task=evaluate", "checkpoint=a", "model=autoencoder")
    assert status == 2
    assert "holds model=vae" in error
    status, _, error = genzoo("task=sample", "checkpoint=a", "model.latent=9", "prompt=x")
    assert status == 2
    assert "does not fit" in error


def test_a_failed_job_does_not_end_the_sweep(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(
        "-m", "optimizer.batch_size=0,16", "model=autoencoder",
        *[argument for argument in SMALL if "batch_size" not in argument], "hydra.sweep.dir=s",
    )  # fmt: skip
    assert status == 2
    assert error.startswith("genzoo: 0-autoencoder-seed0: optimizer.batch_size=0")
    assert len(error.splitlines()) == 1
    assert (tmp_path / "s" / "0-autoencoder-seed0" / "error.txt").exists()
    assert (tmp_path / "s" / "1-autoencoder-seed0" / "results.json").exists()
    page = (tmp_path / "s" / "comparison.html").read_text()
    assert "optimizer.batch_size=0" in page


def test_a_sweep_over_models_takes_their_keys(genzoo: Run, tmp_path: Path) -> None:
    """Each job's key is looked up among its own model's, not the default one's."""
    small = [a for a in SMALL if not a.startswith("model.")]
    status, _, error = genzoo(
        "-m", "model=vae,autoencoder", "model.latent=8", "model.beta=1.0", "model.widths=[8,16]",
        *small, "hydra.sweep.dir=s",
    )  # fmt: skip
    assert status == 2
    assert len(error.splitlines()) == 1
    assert "1-autoencoder-seed0: with model=autoencoder there is no key model.beta" in error
    assert (tmp_path / "s" / "0-vae-seed0" / "results.json").exists()


def test_jobs_side_by_side(tmp_path: Path) -> None:
    """A launcher's own processes: each line says whose it is, and a failure is not lost."""
    result = subprocess.run(
        [sys.executable, "-m", "genzoo", "-m", "optimizer.batch_size=0,16", "model=autoencoder",
         *[argument for argument in SMALL if "batch_size" not in argument],
         "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=s"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert result.returncode == 1
    error = "genzoo: 0-autoencoder-seed0: optimizer.batch_size=0"
    assert [line.startswith(error) for line in result.stderr.splitlines()] == [True]
    assert "1-autoencoder-seed0 | autoencoder: " in result.stdout
    assert (tmp_path / "s" / "1-autoencoder-seed0" / "results.json").exists()
    assert (tmp_path / "s" / "comparison.html").exists()


def test_traceback_on_demand(genzoo: Run) -> None:
    with pytest.raises(Exception, match="vea"):
        genzoo("model=vea", "debug=traceback")


def test_ctrl_c_saves_a_checkpoint_that_resumes(tmp_path: Path, genzoo: Run) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "genzoo", "model=vae", *SMALL, "budget.images=100000000",
         "trainer.log_images=16", "hydra.run.dir=a"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    curves = tmp_path / "a" / "curves.jsonl"
    deadline = time.monotonic() + 120
    while not curves.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)  # until training has begun; nothing is assumed of how long that takes
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "continue with checkpoint=" in out
    assert error.strip() == "genzoo: interrupted"
    seen = torch.load(tmp_path / "a/checkpoints/last.ckpt", weights_only=True)["genzoo"][
        "images_seen"
    ]
    status, out, error = genzoo(
        "checkpoint=a", *SMALL, f"budget.images={seen + 16}", "hydra.run.dir=b"
    )
    assert status == 0, error
    assert f"after {seen:,} images" in out
