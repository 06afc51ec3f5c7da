"""Whose choice of OpenMP's switches holds: what is typed, the environment's, genzoo's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genzoo.machine import cpu
from tests.shell import Result
from tests.small import SMALL

DEFAULTS: dict[str, Any] = {
    "keep_memory": False, "wait_policy": "passive", "spin": 1000, "threads": None,
}  # fmt: skip
CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cpu.OPENMP:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(cpu, "_ours", {})


def applied(*typed: str, processes: int = 1, **changed: Any) -> dict[str, str]:
    cpu.apply({**DEFAULTS, **changed}, processes=processes, typed=typed)
    return {key: os.environ[name] for name, key in cpu.OPENMP.items() if name in os.environ}


def test_genzoos_own_choice_where_there_is_none() -> None:
    assert applied() == {"wait_policy": "passive", "spin": "1000"}
    assert applied(processes=2)["threads"] == str(max(1, CORES // 2))


def test_the_environment_wins_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where processes share the cores, which used to override it."""
    own = {"threads": "7", "wait_policy": "active", "spin": "3"}
    for name, key in cpu.OPENMP.items():
        monkeypatch.setenv(name, own[key])
    assert applied() == own
    assert applied(processes=2) == own
    said = cpu.apply(DEFAULTS, processes=2)
    assert "OMP_NUM_THREADS=7 as in the environment" in said


def test_what_is_typed_wins_over_both_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OMP_NUM_THREADS", "7"), ("OMP_WAIT_POLICY", "active")):
        monkeypatch.setenv(name, value)
    said = cpu.apply({**DEFAULTS, "threads": 2}, typed=("threads", "wait_policy"))
    assert "2 threads a process instead of OMP_NUM_THREADS=7" in said
    assert "OpenMP waits passive instead of OMP_WAIT_POLICY=active" in said
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


def test_a_job_of_a_sweep_does_not_inherit_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert applied(processes=2)["threads"] == str(max(1, CORES // 2))
    assert "threads" not in applied()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert applied("threads", threads=2)["threads"] == "2"
    assert applied()["threads"] == "7"


def test_nothing_is_touched_where_nothing_is_wanted() -> None:
    assert applied(wait_policy=None, spin=None) == {}


def test_ranks_obey_the_environment(shell: Callable[..., Result], tmp_path: Path) -> None:
    """A module that every interpreter imports tells what each rank has when it ends."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\n"
        "def tell():\n"
        "    if 'LOCAL_RANK' in os.environ:\n"
        "        with open('threads-' + os.environ['LOCAL_RANK'], 'w') as file:\n"
        "            file.write(os.environ['OMP_NUM_THREADS'])\n"
        "atexit.register(tell)\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    result = shell(
        "model=autoencoder", *SMALL, "trainer.processes=2", "hydra.run.dir=out",
        env={"OMP_NUM_THREADS": "3", "PYTHONPATH": paths},
    )  # fmt: skip
    assert result.status == 0, result
    assert "OMP_NUM_THREADS=3 as in the environment" in result.out
    assert [(tmp_path / f"threads-{k}").read_text() for k in (0, 1)] == ["3", "3"]
