"""Runs side by side: means over seeds, and a best only among numbers that may be ranked."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from genzoo.metrics.stamp import comparable
from genzoo.report.labels import group_runs
from genzoo.report.runs import RunRecord, finite

Rank = Literal["best", "close"]

# Numbers that are worth reading and not worth ranking, and why.
DOUBTFUL = {
    "inception_score/efficientnet_lite0": "it asks how surely an ImageNet classifier names what "
    "it sees; on images unlike photographs that says little, and a higher one is no better",
    "caption_accuracy/shuffled": "the level that a model reaches by chance, for comparison",
}


@dataclass(frozen=True)
class Cell:
    """A metric of an entry.

    Attributes:
        value: the mean over seeds.
        spread: standard deviation over seeds (n - 1 in the denominator); with one seed that of
            the estimate itself (its splits or subsets), if the metric has one.
        runs: how many seeds.
        values: one a seed, in the order of the entry's runs.
        stamp: of the first run's number.
        rank: ``best`` if ahead of all that it was ranked with, ``close`` if its spread and that of
            the best overlap, None if neither or if nothing was ranked.
    """

    value: float
    spread: float | None
    runs: int
    values: tuple[float, ...]
    stamp: Mapping[str, Any]
    rank: Rank | None = None

    @property
    def best(self) -> bool:
        """Whether it is ahead of all that it may be ranked with."""
        return self.rank == "best"


@dataclass(frozen=True)
class Entry:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: the model's name, and what of the configuration makes the difference.
        runs: one a seed, seeds ascending.
        cells: its metrics by name; a model that cannot do something has no cell for it.
    """

    label: str
    runs: tuple[RunRecord, ...]
    cells: Mapping[str, Cell]

    @property
    def first(self) -> RunRecord:
        """The run with the lowest seed."""
        return self.runs[0]

    def mean(self, section: str, key: str) -> float | None:
        """The mean over seeds of a number in results.json; None where a run lacks it."""
        values = [run.get(section, key) for run in self.runs]
        return statistics.fmean(values) if all(map(finite, values)) else None


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        name: as in results.json.
        better: ``lower`` or ``higher``.
        differing: what forbids ranking: the stamp's keys that differ, and each entry's value.
    """

    name: str
    better: str
    differing: Mapping[str, Mapping[str, str]]

    @property
    def ranked(self) -> bool:
        """Whether its numbers may be ranked."""
        return self.note is None

    @property
    def note(self) -> str | None:
        """Why nothing is ranked, or None."""
        if not self.differing:
            doubt = DOUBTFUL.get(self.name)
            return f"not ranked: {doubt}" if doubt else None
        parts = (f"{key} is {_by_value(values)}" for key, values in self.differing.items())
        return f"not ranked, measured differently: {'; '.join(parts)}"


@dataclass(frozen=True)
class Comparison:
    """Everything that a table or a page shows.

    Attributes:
        entries: in the order in which they were run.
        metrics: in the order of results.json.
        failed: runs without results, or with an error.
        command: what was typed.
    """

    entries: tuple[Entry, ...]
    metrics: tuple[Metric, ...]
    failed: tuple[RunRecord, ...]
    command: str | None = None

    @property
    def seeds(self) -> list[int]:
        """All seeds, ascending."""
        return sorted({run.seed for entry in self.entries for run in entry.runs})

    @property
    def runs(self) -> list[RunRecord]:
        """All finished runs."""
        return [run for entry in self.entries for run in entry.runs]


def compare_runs(runs: Sequence[RunRecord], *, command: str | None = None) -> Comparison:
    """Group runs by everything but the seed, and rank what may be ranked."""
    finished = [run for run in runs if run.results is not None and run.error is None]
    groups = group_runs(finished)
    names = list(dict.fromkeys(name for run in finished for name in run.metrics))
    metrics = tuple(_metric(name, groups) for name in names)
    cells: dict[str, dict[str, Cell]] = {label: {} for label in groups}
    for metric in metrics:
        for label, cell in _row(metric, groups).items():
            cells[label][metric.name] = cell
    entries = tuple(
        Entry(label, tuple(members), cells[label]) for label, members in groups.items()
    )
    failed = tuple(run for run in runs if run.results is None or run.error is not None)
    return Comparison(entries, metrics, failed, command)


def _metric(name: str, groups: Mapping[str, Sequence[RunRecord]]) -> Metric:
    stamps = {
        label: [run.metrics[name]["stamp"] for run in members if name in run.metrics]
        for label, members in groups.items()
    }
    every = [stamp for part in stamps.values() for stamp in part]
    keys = sorted({key for stamp in every for key in comparable(every[0], stamp)})
    better = next(
        str(run.metrics[name].get("better"))
        for members in groups.values()
        for run in members
        if name in run.metrics
    )
    differing = {
        key: {
            label: " and ".join(dict.fromkeys(str(stamp.get(key)) for stamp in part))
            for label, part in stamps.items()
            if part
        }
        for key in keys
    }
    return Metric(name, better, differing)


def _by_value(values: Mapping[str, str]) -> str:
    """Who has which: 32 (autoencoder, vae), 64 (gan)."""
    holders: dict[str, list[str]] = {}
    for label, value in values.items():
        holders.setdefault(value, []).append(label)
    return ", ".join(f"{value} ({', '.join(labels)})" for value, labels in holders.items())


def _row(metric: Metric, groups: Mapping[str, Sequence[RunRecord]]) -> dict[str, Cell]:
    """The cells of a metric by label; an entry of which a seed lacks it has none."""
    row = {
        label: _cell(members, metric.name)
        for label, members in groups.items()
        if all(metric.name in run.metrics for run in members)
    }
    ranks = _ranks(row, metric.better) if metric.ranked else {}
    return {
        label: Cell(c.value, c.spread, c.runs, c.values, c.stamp, ranks.get(label))
        for label, c in row.items()
    }


def _ranks(row: Mapping[str, Cell], better: str) -> dict[str, Rank]:
    """Who is ahead and who is too close to call; empty where there is nothing to rank."""
    sign = {"lower": 1.0, "higher": -1.0}.get(better)
    usable = {label: cell for label, cell in row.items() if finite(cell.value)}
    if sign is None or len({cell.value for cell in usable.values()}) < 2:
        return {}
    ahead = min(usable.values(), key=lambda cell: sign * cell.value)
    ranks: dict[str, Rank] = {}
    for label, cell in usable.items():
        gap = sign * (cell.value - ahead.value)
        if gap == 0:
            ranks[label] = "best"
        elif gap <= (cell.spread or 0.0) + (ahead.spread or 0.0):
            ranks[label] = "close"
    return ranks


def _cell(runs: Sequence[RunRecord], name: str) -> Cell:
    values = tuple(float(run.metrics[name]["value"]) for run in runs)
    spread = runs[0].metrics[name].get("spread")
    if len(values) > 1 and all(map(finite, values)):
        spread = statistics.stdev(values)
    elif len(values) > 1 or not finite(spread):
        spread = None
    stamp = runs[0].metrics[name]["stamp"]
    return Cell(statistics.fmean(values), spread, len(values), values, stamp)
