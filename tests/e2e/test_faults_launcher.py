"""Variables of other programs' launchers: nothing is wrong in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shell import Command, Result
from tests.small import SMALL

Shell = Callable[..., Result]

MASTER = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29411"}
WHOLE = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", **MASTER}
SAMPLE = ("task=sample", "checkpoint=zoo/glide_16", "prompt=x", "count=1", "trainer.gpus=0")

REFUSED = [
    ({"WORLD_SIZE": "4"}, [], "WORLD_SIZE=4 is in the environment without RANK"),
    ({"RANK": "1"}, [], "RANK=1 is in the environment without WORLD_SIZE"),
    ({"RANK": "1", "WORLD_SIZE": "4"}, [], "without LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
    ({"RANK": "1", "WORLD_SIZE": "4", **MASTER}, [], "without LOCAL_RANK"),
    ({"LOCAL_RANK": "1"}, [], "LOCAL_RANK=1 is in the environment without"),
    ({"NODE_RANK": "1"}, [], "NODE_RANK=1 is in the environment without"),
    ({"WORLD_SIZE": "four"}, [], "WORLD_SIZE=four is in the environment and is no number"),
    ({"WORLD_SIZE": "4"}, ["trainer.processes=2"], "WORLD_SIZE=4 is in the environment without"),
    (WHOLE, [], "4 processes were started, and trainer.gpus=0 trainer.processes=1"),
    (WHOLE, ["trainer.processes=2"], "is for 2; start as many, or type: unset RANK WORLD_SIZE"),
    ({**WHOLE, "RANK": "4"}, [], "contradict one another"),
    (
        {**WHOLE, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"},
        ["trainer.processes=2"],
        "1 processes were started",
    ),
    ({"SLURM_STEP_NUM_TASKS": "4"}, [], "srun started 4 copies of this command"),
    ({"OMPI_COMM_WORLD_SIZE": "4"}, [], "mpirun started 4 copies of this command"),
    ({"PMI_SIZE": "4"}, [], "mpiexec started 4 copies of this command"),
]


def one_line(result: Result, words: str) -> None:
    lines = result.err.splitlines()
    assert len(lines) == 1, result
    assert lines[0].startswith("genzoo: ")
    assert words in lines[0]
    assert "unset " in lines[0]
    assert result.status == 2


@pytest.mark.parametrize(("variables", "typed", "words"), REFUSED)
def test_half_a_launch_is_refused(
    shell: Shell, variables: dict[str, str], typed: list[str], words: str
) -> None:
    one_line(shell("model=vae", *SMALL, *typed, env=variables), words)


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"WORLD_SIZE": "4"}, WHOLE])
def test_so_it_is_where_pictures_are_drawn(shell: Shell, variables: dict[str, str]) -> None:
    one_line(shell(*SAMPLE, env=variables), "WORLD_SIZE" if variables is WHOLE else "environment")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
            "SLURM_NTASKS=4",
        ),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "1", **MASTER}, None),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, None),
    ],
)
def test_what_says_nothing_of_others_is_no_hindrance(
    shell: Shell, tmp_path: Path, variables: dict[str, str], said: str | None
) -> None:
    result = shell(*SAMPLE, "sampler.steps=2", "hydra.run.dir=a", env=variables)
    assert (result.status, result.err) == (0, "")
    assert (tmp_path / "a/samples/00000.png").exists()
    assert ("is not read" in result.out) == (said is not None)
    assert said is None or said in result.out


@pytest.mark.dist
def test_a_whole_launch_is_believed(tmp_path: Path) -> None:
    ranks = [
        Command(
            "model=vae", *SMALL, "trainer.processes=2", "hydra.run.dir=a", cwd=tmp_path,
            env={**MASTER, "RANK": str(k), "LOCAL_RANK": str(k), "WORLD_SIZE": "2"},
        )
        for k in range(2)
    ]  # fmt: skip
    results = [rank.wait() for rank in ranks]
    assert [result.status for result in results] == [0, 0], results
    assert "2 processes meet at 127.0.0.1:29411" in results[0].out
    assert results[1].out == ""
    assert json.loads((tmp_path / "a/results.json").read_text())["metrics"]


@pytest.mark.parametrize("typed", ["model=nonsense", "optimizer.lr=nan", "hydra.nonsense=1"])
def test_of_torchruns_processes_one_says_what_was_typed_wrongly(shell: Shell, typed: str) -> None:
    torchrun = {**MASTER, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}
    ranks = [
        shell("model=vae", *SMALL, typed, env={**torchrun, "RANK": rank, "LOCAL_RANK": rank})
        for rank in "01"
    ]
    assert [rank.status for rank in ranks] == [2, 2]
    assert [len(rank.err.splitlines()) for rank in ranks] == [1, 0]
