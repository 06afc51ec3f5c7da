"""Runs of a sweep, each by the command line that a person would type, each in its own folder.

A run that has finished with the same command is not repeated, so that a study can be interrupted
and continued. A training that broke down (weights that are no numbers, samples all alike) is a
result of a study; any other failure ends it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from genzoo.report.runs import RunRecord, is_run, load_run

ROOT = Path(__file__).parents[2]
# How genzoo names a training that broke down (genzoo.lit.health).
BROKEN = ("became nan", "became inf", "became -inf", "model collapsed")


class StudyError(Exception):
    """Why a study cannot continue, in one line."""


@dataclass(frozen=True)
class Run:
    """A training, measured at one or several points.

    Attributes:
        name: of its folder.
        overrides: of its command line, without the budget.
        stages: images seen at which it is measured, ascending; the last one ends it.
        after: runs that come before it, by the key that is given their folder.
    """

    name: str
    overrides: tuple[str, ...]
    stages: tuple[int, ...]
    after: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        run: its plan.
        records: its folders, one a stage; after a breakdown the later ones are missing.
    """

    run: Run
    records: tuple[RunRecord, ...]

    @property
    def last(self) -> RunRecord:
        """The latest stage."""
        return self.records[-1]

    @property
    def broken(self) -> str | None:
        """How training broke down, or None."""
        return self.last.error

    def metric(self, name: str, stage: int = -1) -> float | None:
        """A metric at a stage; None where training had broken down by then."""
        if self.broken and stage in (-1, len(self.records) - 1):
            return None
        try:
            return float(self.records[stage].metrics[name]["value"])
        except (IndexError, KeyError):
            return None

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(share of the training, value) of a curve, over all stages."""
        points = [p for p in self.last.curves if name in p]
        return [(p["images"] / self.run.stages[-1], p[name]) for p in points]


def sweep(runs: Sequence[Run], *, folder: Path, jobs: int, fresh: bool = False) -> list[Outcome]:
    """Run what has not finished yet, `jobs` at a time.

    Args:
        runs: with different names, each behind those that come before it.
        folder: where their folders are.
        jobs: how many processes work at once.
        fresh: repeat what has finished.

    Raises:
        StudyError: when a run failed and not because its training broke down.
    """
    done = 0

    def one(run: Run) -> Outcome:
        nonlocal done
        earlier = {key: futures[name].result() for key, name in run.after.items()}
        begin = time.monotonic()
        outcome = Outcome(run, tuple(_stages(run, earlier, folder, fresh=fresh)))
        done += 1
        note = f" - {outcome.broken}" if outcome.broken else ""
        seconds = time.monotonic() - begin
        print(f"  [{done}/{len(runs)}] {run.name}: {seconds:.0f} s{note}", flush=True)
        return outcome

    futures: dict[str, Future[Outcome]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for run in runs:
            futures[run.name] = pool.submit(one, run)
        try:
            return [future.result() for future in futures.values()]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def command(overrides: Sequence[str]) -> str:
    """The command line as results.json has it."""
    return shlex.join(["python", "-m", "genzoo", *overrides])


def _stages(
    run: Run, earlier: Mapping[str, Outcome], folder: Path, *, fresh: bool
) -> Iterator[RunRecord]:
    given = [f"{key}={_shown(outcome.last.folder)}" for key, outcome in earlier.items()]
    before: Path | None = None
    for images in run.stages:
        place = folder / run.name / f"{images}-images"
        overrides = [*run.overrides, f"budget.images={images}"]
        overrides += given if before is None else [f"checkpoint={_shown(before)}"]
        record = None if fresh else _finished(place, overrides)
        if record is None:
            record = _start(place, overrides)
        yield record
        if record.error:
            return
        before = place


def _finished(place: Path, overrides: Sequence[str]) -> RunRecord | None:
    """The record of an earlier call, if it was the same command and finished."""
    if not is_run(place):
        return None
    record = load_run(place)
    same = (record.results or {}).get("command") == command(overrides)
    return record if same and record.error is None else None


def _start(place: Path, overrides: Sequence[str]) -> RunRecord:
    if place.exists():  # unfinished, failed or of another command
        shutil.rmtree(place)
    place.mkdir(parents=True)
    given = [*overrides, f"hydra.run.dir={_shown(place)}"]
    status, errors = _execute(given, place / "log.txt")
    if status:
        lines = [text for text in errors.splitlines() if text.strip()]
        why = lines[-1].removeprefix("genzoo: ") if lines else f"exit status {status}"
        if not any(word in why for word in BROKEN):
            raise StudyError(f"{command(overrides)}\nfailed: {why}\n(see {_shown(place)}/log.txt)")
        (place / "error.txt").write_text(why.partition("; ")[0] + "\n", encoding="utf-8")
    return load_run(place)


def _execute(arguments: Sequence[str], log: Path) -> tuple[int, str]:
    """A command by a new interpreter: its exit status and its standard error.

    The settings of the processor act only before torch is imported.
    """
    with log.open("w") as output:
        child = subprocess.run(
            [sys.executable, "-m", "genzoo", *arguments],
            cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True,
            env={"OMP_WAIT_POLICY": "passive", **os.environ},
        )  # fmt: skip
    return child.returncode, child.stderr


def _shown(path: Path) -> str:
    """Relative to the repository where it lies inside."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
