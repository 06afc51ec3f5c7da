"""Runs side by side: means over seeds, and a best only among numbers that may be ranked."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genzoo.metrics.stamp import comparable
from genzoo.report.runs import RunRecord

# The parts of a configuration that make one entry of a comparison differ from another.
DISTINGUISHING = ("model", "data", "text", "optimizer", "ema", "budget", "guidance", "metrics")


@dataclass(frozen=True)
class Cell:
    """A metric of an entry.

    Attributes:
        value: the mean over seeds.
        spread: standard deviation over seeds; with one seed that of the metric itself, if any.
        runs: how many seeds.
        best: whether it is ahead of all that it may be ranked with.
        stamp: of the first run's number.
    """

    value: float
    spread: float | None
    runs: int
    best: bool
    stamp: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: the model's name, and what of the configuration makes the difference.
        runs: one a seed.
        cells: its metrics by name; a model that cannot do something has no cell for it.
    """

    label: str
    runs: tuple[RunRecord, ...]
    cells: Mapping[str, Cell]

    def mean(self, section: str, key: str) -> float:
        """The mean over seeds of a number in a section of results.json."""
        return statistics.fmean((run.results or {})[section][key] for run in self.runs)

    @property
    def first(self) -> RunRecord:
        """The run with the lowest seed."""
        return self.runs[0]


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        name: as in results.json.
        better: ``lower`` or ``higher``.
        note: why nothing is ranked, or None.
    """

    name: str
    better: str
    note: str | None


@dataclass(frozen=True)
class Comparison:
    """Everything that a table or a page shows.

    Attributes:
        entries: in the order in which they were run.
        metrics: in the order of results.json.
        failed: runs without results.
        command: what was typed.
    """

    entries: tuple[Entry, ...]
    metrics: tuple[Metric, ...]
    failed: tuple[RunRecord, ...]
    command: str | None

    @property
    def seeds(self) -> list[int]:
        """All seeds, ascending."""
        return sorted({run.seed for entry in self.entries for run in entry.runs})


def compare_runs(runs: Sequence[RunRecord], *, command: str | None = None) -> Comparison:
    """Group runs by everything but the seed, and rank what may be ranked."""
    finished = [run for run in runs if run.results is not None and run.error is None]
    groups = _groups(finished)
    names = list(dict.fromkeys(name for run in finished for name in run.metrics))
    metrics = tuple(_metric(name, groups) for name in names)
    best = {m.name: _best(m, groups) for m in metrics}
    entries = tuple(
        Entry(
            label,
            tuple(members),
            {
                name: _cell(members, name, best=best[name] == label)
                for name in names
                if all(name in run.metrics for run in members)
            },
        )
        for label, members in groups.items()
    )
    failed = tuple(run for run in runs if run not in finished)
    return Comparison(entries, metrics, failed, command)


def _groups(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    flat = [_flat({k: run.config.get(k) for k in DISTINGUISHING}) for run in runs]
    groups: dict[str, list[RunRecord]] = {}
    for run, values in zip(runs, flat, strict=True):
        same = [other for r, other in zip(runs, flat, strict=True) if r.model == run.model]
        differing = sorted(
            key for key in values if any(other.get(key) != values[key] for other in same)
        )
        label = " · ".join([run.model, *(f"{key}={values[key]}" for key in differing)])
        groups.setdefault(label, []).append(run)
    for members in groups.values():
        members.sort(key=lambda run: run.seed)
    return groups


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            values |= _flat(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def _metric(name: str, groups: Mapping[str, Sequence[RunRecord]]) -> Metric:
    measured = [run for members in groups.values() for run in members if name in run.metrics]
    first = measured[0].metrics[name]
    differing = sorted(
        {key for run in measured for key in comparable(first["stamp"], run.metrics[name]["stamp"])}
    )
    note = None
    if differing:
        stamps = [run.metrics[name]["stamp"] for run in measured]
        values = (
            f"{key}: {', '.join(dict.fromkeys(str(stamp.get(key)) for stamp in stamps))}"
            for key in differing
        )
        note = f"not ranked, measured differently ({'; '.join(values)})"
    return Metric(name, first["better"], note)


def _best(metric: Metric, groups: Mapping[str, Sequence[RunRecord]]) -> str | None:
    """The label that is ahead; None where nothing may be ranked or there is nothing to rank."""
    means = {
        label: statistics.fmean(run.metrics[metric.name]["value"] for run in members)
        for label, members in groups.items()
        if all(metric.name in run.metrics for run in members)
    }
    if metric.note is not None or len(means) < 2:
        return None
    pick = min if metric.better == "lower" else max
    ahead = pick(means.values())
    winners = [label for label, mean in means.items() if mean == ahead]
    return winners[0] if len(winners) == 1 else None


def _cell(runs: Sequence[RunRecord], name: str, *, best: bool) -> Cell:
    values = [run.metrics[name]["value"] for run in runs]
    spread = statistics.stdev(values) if len(values) > 1 else runs[0].metrics[name]["spread"]
    return Cell(
        statistics.fmean(values), spread, len(values), best, runs[0].metrics[name]["stamp"]
    )
