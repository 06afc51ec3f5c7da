"""task=compare: a table and a page from the results of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from genzoo.report.comparison import Comparison


def run(cfg: DictConfig) -> dict[str, float]:
    """Compare the runs named by `runs=`."""
    runs = list(cfg.runs) if isinstance(cfg.runs, ListConfig) else str(cfg.runs).split(",")
    compare(runs, Path(cfg.run.folder), command=cfg.run.command)
    return {}


def compare(runs: Sequence[str | Path], folder: Path, *, command: str) -> Comparison:
    """Write the comparison of runs into a folder and its table to the terminal."""
    raise NotImplementedError
