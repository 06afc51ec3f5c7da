"""task=compare: a table and a page from the results of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from genzoo.machine.console import status
from genzoo.machine.track import track_table
from genzoo.report.text import table
from genzoo.report.write import print_table, write_comparison


def run(cfg: DictConfig) -> dict[str, float]:
    """Compare the runs named by `runs=`."""
    runs = list(cfg.runs) if isinstance(cfg.runs, ListConfig) else str(cfg.runs).split(",")
    compare(runs, Path(cfg.run.folder), command=cfg.run.command, logger=cfg.logger)
    return {}


def compare(runs: Sequence[str | Path], folder: Path, *, command: str, logger: DictConfig) -> None:
    """Write the comparison of runs into a folder, and its table to terminal and dashboard."""
    comparison = write_comparison(runs, folder, command=command)
    print_table(comparison)
    columns, rows = table(comparison)
    track_table(logger, folder, "comparison", columns, rows)
    status(f"the comparison: {folder / 'comparison.html'}")
