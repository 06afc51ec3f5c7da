"""The commands as a person types them, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from genzoo.config.paths import groups
from tests.shell import Command
from tests.small import AGAIN, SMALL


def genzoo(folder: Path, *arguments: str, fresh: bool = False) -> str:
    result = Command(*arguments, cwd=folder, fresh=fresh).wait()
    assert result.status == 0, result.err
    assert result.err == ""  # no warning of any library reaches the person
    return result.out


def test_fit_evaluate_sample_compare(tmp_path: Path) -> None:
    small = [argument for argument in SMALL if argument != "logger=none"]
    out = genzoo(tmp_path, "model=vae", *small, "hydra.run.dir=outputs/a", fresh=True)
    assert "frechet_distance/efficientnet_lite0" in out
    run = tmp_path / "outputs" / "a"
    for name in ("config.yaml", "results.json", "curves.jsonl", "curves.csv"):
        assert (run / name).is_file()
    # The dashboard's run is kept for later, without an account, a prompt or a network.
    assert list(run.glob("wandb/offline-run-*/*.wandb"))

    genzoo(tmp_path, "task=evaluate", "checkpoint=last", *AGAIN, "hydra.run.dir=outputs/b")
    first, second = (
        json.loads((tmp_path / "outputs" / name / "results.json").read_text()) for name in "ab"
    )
    assert first["metrics"] == second["metrics"]

    genzoo(
        tmp_path, "task=sample", "checkpoint=outputs/a", "prompt=a red heart, small", "count=3",
        "hydra.run.dir=outputs/c",
    )  # fmt: skip
    samples = tmp_path / "outputs" / "c" / "samples"
    assert len(list(samples.glob("0*.png"))) == 3
    with Image.open(samples / "00002.png") as picture:
        assert picture.size == (16, 16)
        assert picture.text["caption"] == "a red heart, small"  # type: ignore[attr-defined]
        assert picture.text["seed"] == "0"  # type: ignore[attr-defined]

    out = genzoo(
        tmp_path, "task=compare", "runs=outputs/a,outputs/b", "logger=none", "hydra.run.dir=cmp"
    )
    assert "vae" in out
    assert (tmp_path / "cmp" / "comparison.html").is_file()


def test_help_and_sampling_pay_for_nothing_they_do_not_use() -> None:
    check = "import sys; {}; print([m for m in {!r} if m in sys.modules])"
    heavy = ["torch", "pytorch_lightning", "torchmetrics", "wandb", "torchvision"]
    for statement, modules in (
        ("import genzoo.cli; genzoo.cli.help_text()", heavy),
        ("import genzoo.command.launch", heavy),
        ("import genzoo.tasks.sample", heavy[1:]),
        ("import genzoo.tasks.compare", heavy[1:]),
    ):
        out = subprocess.run(
            [sys.executable, "-c", check.format(statement, modules)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert out.strip() == "[]", statement


@pytest.mark.parametrize("argument", ["--help", "-h"])
def test_help_lists_what_there_is(tmp_path: Path, argument: str) -> None:
    out = genzoo(tmp_path, argument, fresh=True)
    words = " ".join(out.split())
    for group in ("model", "model/arch", "task", "sampler"):
        assert f"{group} {' | '.join(groups()[group])}" in words
    assert not list(tmp_path.iterdir())
