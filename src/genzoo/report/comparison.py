"""Runs side by side: means over trainings, and a best where one is separated from the rest."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genzoo.core.conditions import NOTHING
from genzoo.metrics.difference import Decision, Measured, Standing, decide, over_trainings
from genzoo.metrics.revisions import kind_of
from genzoo.metrics.stamp import comparable, set_apart
from genzoo.report.cautions import caution
from genzoo.report.labels import group_runs
from genzoo.report.runs import RunRecord, finite

Rank = Standing
Interval = tuple[float, float]

UNKNOWN = "not recorded"
# Numbers that are worth reading and not worth ranking, and why.
DOUBTFUL = {
    "inception_score/efficientnet_lite0": "it asks how surely an ImageNet classifier names what "
    "it sees; on images unlike photographs that says little, and a higher one is no better",
    "vendi": "it counts how many different images there are, and noise is diverse, too; what "
    "speaks for a model is to be near the real images' number",
    "caption_accuracy/shuffled": "the level that a model reaches by chance, for comparison",
}


@dataclass(frozen=True)
class Cell:
    """A metric of an entry.

    Attributes:
        value: the mean over trainings.
        spread: standard deviation over trainings (n - 1 in the denominator); with one training
            that over the splits or subsets of the estimate, if the metric has them.
        trainings: how many; several samples of one training are one.
        values: one a training, in the order of the entry's runs.
        stamp: of the first run's number.
        rank: ``best`` if separated from all that it was ranked with, ``not separated`` if it has
            the best number or is not separated from it, None if neither or if nothing was ranked.
        interval: 95 % of the mean over trainings, or with one training of the number over samples;
            None where none was recorded.
        p: of the comparison with the best number, see `genzoo.metrics.difference.Decision`.
        apart: why it is not ranked with the others, or None.
    """

    value: float
    spread: float | None
    trainings: int
    values: tuple[float, ...]
    stamp: Mapping[str, Any]
    rank: Rank | None = None
    interval: Interval | None = None
    p: float | None = None
    apart: str | None = None

    @property
    def best(self) -> bool:
        """Whether it is separated from all that it may be ranked with, and ahead."""
        return self.rank == "best"


@dataclass(frozen=True)
class Entry:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: the model's name, and what of the configuration makes the difference.
        runs: seeds ascending; several may have sampled one training.
        cells: its metrics by name; a model that cannot do something has no cell for it.
    """

    label: str
    runs: tuple[RunRecord, ...]
    cells: Mapping[str, Cell]

    @property
    def first(self) -> RunRecord:
        """The run with the lowest seed."""
        return self.runs[0]

    @property
    def trainings(self) -> int:
        """How many trainings its runs measured."""
        return len({run.training for run in self.runs})

    def mean(self, section: str, key: str) -> float | None:
        """The mean over runs of a number in results.json; None where a run lacks it."""
        values = [run.get(section, key) for run in self.runs]
        return statistics.fmean(values) if all(map(finite, values)) else None


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    Attributes:
        name: as in results.json.
        better: ``lower`` or ``higher``.
        differing: what forbids ranking: the stamp's keys that differ, and each entry's value.
        decision: who is ahead, by which tests; None where nothing is ranked.
        apart: entries whose number is shown and not ranked with the others', and why.
        known: what a scorer was trained on, in words, where that is of interest.
        caution: what must be known beside its numbers, ranked or not; None for nothing.
    """

    name: str
    better: str
    differing: Mapping[str, Mapping[str, str]]
    decision: Decision | None = None
    apart: Mapping[str, str] = field(default_factory=dict)
    known: str | None = None
    caution: str | None = None

    @property
    def ranked(self) -> bool:
        """Whether its numbers may be ranked."""
        return self.note is None

    @property
    def footnoted(self) -> bool:
        """Whether there is more to say of it."""
        return bool(self.note or self.apart or self.known or self.caution)

    @property
    def note(self) -> str | None:
        """Why nothing is ranked, or None."""
        if not self.differing:
            doubt = DOUBTFUL.get(self.name) or DOUBTFUL.get(kind_of(self.name))
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
    decided = []
    for metric in metrics:
        decision, row = _row(metric, groups)
        decided.append(replace(metric, decision=decision))
        for label, cell in row.items():
            cells[label][metric.name] = cell
    entries = tuple(
        Entry(label, tuple(members), cells[label]) for label, members in groups.items()
    )
    failed = tuple(run for run in runs if run.results is None or run.error is not None)
    return Comparison(entries, tuple(decided), failed, command)


def _metric(name: str, groups: Mapping[str, Sequence[RunRecord]]) -> Metric:
    stamps = {
        label: [run.metrics[name]["stamp"] for run in members if name in run.metrics]
        for label, members in groups.items()
    }
    given = {label for label, members in groups.items() if members[0].of_images}
    apart = _apart(stamps)
    apart |= _unlike(stamps, given - apart.keys(), but=apart.keys() | given)
    ranked = [stamp for label, part in stamps.items() if label not in apart for stamp in part]
    keys = sorted({key for stamp in ranked for key in comparable(ranked[0], stamp)})
    better = next(
        str(run.metrics[name].get("better"))
        for members in groups.values()
        for run in members
        if name in run.metrics
    )
    recorded = [run.metrics[name] for m in groups.values() for run in m if name in run.metrics]
    differing = {
        key: {
            label: " and ".join(dict.fromkeys(str(stamp.get(key, UNKNOWN)) for stamp in part))
            for label, part in stamps.items()
            if part and label not in apart
        }
        for key in keys
    }
    seen = (stamp.get("scorer_trained_on") for part in stamps.values() for stamp in part)
    known = " or ".join(dict.fromkeys(str(words) for words in seen if words))
    return Metric(
        name,
        better,
        differing,
        apart=apart,
        known=known or None,
        caution=caution(name, recorded),
    )


def _apart(stamps: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Entries that are not ranked with the others, and why.

    Models that were all given the same are ranked with one another.
    """
    every = [stamp for part in stamps.values() for stamp in part]
    alike = len({stamp.get("given", NOTHING) for stamp in every}) == 1
    reasons = {
        label: [set_apart({**stamp, "given": NOTHING} if alike else stamp) for stamp in part]
        for label, part in stamps.items()
    }
    return {
        label: " and ".join(dict.fromkeys(filter(None, found)))
        for label, found in reasons.items()
        if any(found)
    }


def _unlike(
    stamps: Mapping[str, Sequence[Mapping[str, Any]]],
    given: Collection[str],
    *,
    but: Collection[str],
) -> dict[str, str]:
    """Images of other programs that were measured otherwise than the models, and how.

    Where there are no models to be like, or these differ themselves, nothing is said.

    Args:
        stamps: of each entry.
        given: entries that are images of other programs.
        but: entries that are no models, or apart.
    """
    models = [stamp for label, part in stamps.items() if label not in but for stamp in part]
    if not models or any(comparable(models[0], stamp) for stamp in models):
        return {}
    reasons = {}
    for label in given:
        keys = {key for stamp in stamps[label] for key in comparable(models[0], stamp)}
        parts = (
            f"{key} is {stamps[label][0].get(key, UNKNOWN)} and not {models[0].get(key, UNKNOWN)}"
            for key in sorted(keys)
        )
        if keys:
            reasons[label] = f"measured differently: {', '.join(parts)}"
    return reasons


def _by_value(values: Mapping[str, str]) -> str:
    """Who has which: 32 (autoencoder, vae), 64 (gan)."""
    holders: dict[str, list[str]] = {}
    for label, value in values.items():
        holders.setdefault(value, []).append(label)
    return ", ".join(f"{value} ({', '.join(labels)})" for value, labels in holders.items())


def _row(
    metric: Metric, groups: Mapping[str, Sequence[RunRecord]]
) -> tuple[Decision | None, dict[str, Cell]]:
    """The cells of a metric by label; an entry of which a run lacks it has none."""
    members = {
        label: runs
        for label, runs in groups.items()
        if all(metric.name in run.metrics for run in runs)
    }
    row = {
        label: replace(_cell(runs, metric.name), apart=metric.apart.get(label))
        for label, runs in members.items()
    }
    if not metric.ranked:
        return None, row
    beside = {
        label: _measured(runs, metric.name)
        for label, runs in members.items()
        if label not in metric.apart
    }
    decision = decide(beside, better=metric.better)
    return decision, {
        label: replace(cell, rank=decision.standings.get(label), p=decision.p.get(label))
        for label, cell in row.items()
    }


def _cell(runs: Sequence[RunRecord], name: str) -> Cell:
    values = tuple(_measured(runs, name).trainings.values())
    entry = runs[0].metrics[name]
    spread = entry.get("spread")
    if len(values) > 1 and all(map(finite, values)):
        spread = statistics.stdev(values)
    elif len(values) > 1 or not finite(spread):
        spread = None
    interval = over_trainings(values) if len(values) > 1 else _over_samples(runs, name)
    value = statistics.fmean(values)
    return Cell(value, spread, len(values), values, entry["stamp"], interval=interval)


def _measured(runs: Sequence[RunRecord], name: str) -> Measured:
    """The metric's numbers by training, those of several samples of one as one."""
    values: dict[str, list[float]] = {}
    seeds: dict[str, int | str] = {}
    for run in runs:
        values.setdefault(run.training, []).append(float(run.metrics[name]["value"]))
        seed = run.training_seed
        seeds.setdefault(run.training, run.training if seed is None else seed)
    once = len(set(seeds.values())) == len(seeds)
    errors = [run.metrics[name].get("standard_error") for run in runs]
    known = all(map(finite, errors))
    return Measured(
        {seeds[key] if once else key: statistics.fmean(each) for key, each in values.items()},
        # Not smaller for several samples: they may have been measured on the same images.
        statistics.fmean(error**2 for error in errors) ** 0.5 if known else None,
    )


def _over_samples(runs: Sequence[RunRecord], name: str) -> Interval | None:
    """The recorded interval; of several samples of one training the mean of theirs."""
    ends = [run.metrics[name].get("interval") for run in runs]
    if not all(isinstance(e, list) and len(e) == 2 and all(map(finite, e)) for e in ends):
        return None
    low, high = (statistics.fmean(side) for side in zip(*ends, strict=True))
    return low, high
