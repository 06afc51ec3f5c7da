"""`python -m experiments.<study> [--scale cpu|gpu|smoke]`: run the sweep, analyse, write."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.lab import stamp
from experiments.lab.findings import Findings, write
from experiments.lab.sweep import ROOT, Outcome, Run, StudyError, sweep
from genzoo.command.parser import Parser, whole
from genzoo.core.errors import GenzooError
from genzoo.machine import cpu

SCALES = ("cpu", "gpu", "smoke")
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A claim and the way to test it.

    Attributes:
        folder: of its files; its name is the study's.
        plan: from the settings of study.yaml at a scale to the runs.
        analyse: from their outcomes to the findings.
    """

    folder: Path
    plan: Callable[[Settings], list[Run]]
    analyse: Callable[[Sequence[Outcome], Settings], Findings]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def settings(self, scale: str) -> dict[str, Any]:
        """study.yaml: what all scales share, and what this one sets."""
        content = yaml.safe_load((self.folder / "study.yaml").read_text(encoding="utf-8"))
        scales = content.pop("scales")
        return {**content, **scales[scale]}


def main(study: Study) -> None:
    """The command line of a study."""
    cpu.keep_freed_memory()  # features are taken in this process, too
    given = _arguments(study)
    settings = study.settings(given.scale)
    runs = study.plan(settings)
    jobs = given.jobs or settings["jobs"]
    print(f"{study.name}: {len(runs)} runs, {jobs} at a time, below {given.output}", flush=True)
    begin = time.monotonic()
    try:
        outcomes = sweep(runs, folder=given.output, jobs=jobs, fresh=given.fresh)
        findings = study.analyse(outcomes, settings)
    except (StudyError, GenzooError) as error:
        sys.exit(f"{study.name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{study.name}: stopped; the same command continues with the unfinished runs")
    about = {
        "study": study.name,
        "scale": given.scale,
        "claim": settings["claim"],
        "command": f"python -m experiments.{study.name} --scale {given.scale}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "jobs": jobs,
        "minutes_of_this_call": round((time.monotonic() - begin) / 60, 2),
        "machine": stamp.machine(),
        "software": stamp.software(),
        **stamp.fingerprints(outcomes),
        "runs": stamp.about(outcomes),
    }
    write(findings, given.results, about=about)
    print(f"{findings.verdict}\nstored in {given.results}")


def _arguments(study: Study) -> argparse.Namespace:
    parser = Parser(
        prog=f"python -m experiments.{study.name}",
        description="Run a study; what has finished is not repeated.",
    )
    parser.add_argument("--scale", choices=SCALES, default="cpu", help="default: %(default)s")
    parser.add_argument("--jobs", type=whole(1), help="runs at a time; default: study.yaml's")
    parser.add_argument("--fresh", action="store_true", help="repeat what has finished")
    parser.add_argument("--output", type=Path, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="folder of table, numbers and figures")
    given = parser.parse_args()
    given.output = given.output or ROOT / "outputs" / "studies" / study.name / given.scale
    given.results = given.results or study.folder / "results" / given.scale
    return given
