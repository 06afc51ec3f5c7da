"""Several processes: a dead one is named, none is left behind, one mistake is one line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genzoo.command.failures import failure
from genzoo.core.errors import UsageError
from tests.shell import Command, Result
from tests.small import SMALL

pytestmark = pytest.mark.dist

TWO = ("model=vae", *SMALL, "trainer.processes=2", "hydra.run.dir=a")


def alive(marker: str) -> dict[int, str]:
    """The processes with a word in their environment, and their ranks (-1: none)."""
    found = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        try:
            variables = (place / "environ").read_bytes().split(b"\0")
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"MARKER={marker}".encode() in variables and state != "Z":
            ranks = [v.partition(b"=")[2].decode() for v in variables if v.startswith(b"RANK=")]
            found[int(place.name)] = ranks[0] if ranks else ""
    return found


def until(condition: Callable[[], Any], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(condition())


def training(folder: Path, *more: str) -> Command:
    command = Command(
        *TWO, "budget.images=100000000", "trainer.log_images=16", *more, cwd=folder, fresh=True,
        env={"MARKER": folder.name, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert until((folder / "a" / "curves.jsonl").exists), command.wait(timeout=1)
    return command


def test_a_killed_rank_is_named_with_its_signal(tmp_path: Path) -> None:
    command = training(tmp_path)
    (second,) = [pid for pid, rank in alive(tmp_path.name).items() if rank == "1"]
    os.kill(second, signal.SIGKILL)
    result = command.wait(timeout=120)
    assert result.status == 1
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("genzoo: process 1 of 2 was killed by SIGKILL; ")
    assert "memory" in result.err
    assert until(lambda: not alive(tmp_path.name), 30), alive(tmp_path.name)


def test_a_killed_launcher_leaves_no_orphans(tmp_path: Path) -> None:
    command = training(tmp_path, "data.workers=1")
    assert len(alive(tmp_path.name)) >= 5  # the launcher, two ranks, a worker of each
    command.send(signal.SIGKILL)
    assert command.wait(timeout=60).status == -signal.SIGKILL
    assert until(lambda: not alive(tmp_path.name), 30), alive(tmp_path.name)


def test_one_mistake_is_one_line(shell: Callable[..., Result]) -> None:
    result = shell(*TWO, "metrics.weights.efficientnet_lite0=nowhere", fresh=True)
    assert result.status == 2
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("genzoo: metrics.weights.efficientnet_lite0=nowhere: ")


def entry(rank: int, problem: str, remedy: str | None = None, **more: Any) -> dict[str, Any]:
    return {"rank": rank, "status": 1, "problem": problem, "remedy": remedy, "lost": False, **more}


def test_which_of_several_failures_is_said() -> None:
    lost = entry(0, "RuntimeError: Connection closed by peer", lost=True)
    cause = entry(1, "ValueError: enough")
    for said in ([lost, cause], [cause, lost]):
        assert "process 1 of 2 failed: ValueError: enough" in str(failure({0: 1}, said, 0, 2))
    assert "Connection closed" in str(failure({0: 1}, [lost], 0, 2))  # better than nothing
    usage = entry(0, "no such thing", "write another", status=2)
    error = failure({0: 2, 1: 2}, [usage, {**usage, "rank": 1}], 0, 2)
    assert isinstance(error, UsageError)
    assert str(error) == "no such thing; write another"
    killed = failure({0: 1, 1: -9}, [lost], 0, 2)
    assert str(killed).startswith("process 1 of 2 was killed by SIGKILL")
    assert "memory" not in str(failure({1: -11}, [], 1, 2))
    ended = failure({0: 3, 1: -15}, [], 0, 2)  # the second one was ended because of the first
    assert str(ended).startswith("process 0 of 2 ended with exit status 3")
