"""Whether entries had equal budgets, and how unequal they were, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from genzoo.report.comparison import Comparison, Entry, Metric
from genzoo.report.text import duration, joined

MARK = "‡"  # at what is best of entries with unequal budgets


@dataclass(frozen=True)
class Quantity:
    """A part of the budget.

    Attributes:
        words: its name.
        place: in results.json.
        write: its value in words.
        tolerance: ratio of the largest to the smallest value that still counts as equal.
    """

    words: str
    place: tuple[str, str]
    write: Callable[[float], str]
    tolerance: float


def _count(value: float) -> str:
    return f"{value:,.0f}"


# A training stops at the first step beyond its budget, and no machine is equally fast twice.
QUANTITIES = (
    Quantity("images seen in training", ("training", "images_seen"), _count, 1.05),
    Quantity("training time", ("training", "seconds"), duration, 1.25),
    Quantity("parameters", ("model", "parameters"), _count, 1.05),
)


def budget_lines(comparison: Comparison) -> list[str]:
    """One line on what was equal, one on each thing that was not; empty for a single entry."""
    entries = comparison.entries
    if len(entries) < 2:
        return []
    differences = list(unequal(entries))
    if not differences:
        return ["Equal budgets: images seen, training time and parameters."]
    marked = any(cell.best for entry in entries for cell in entry.cells.values())
    word = f" {MARK} marks what is best among rows that had unequal ones." if marked else ""
    return [f"Unequal budgets.{word}", *differences]


def unequal(entries: Sequence[Entry]) -> Iterator[str]:
    """What differs between the budgets of these entries, and by how much."""
    nowhere = [e.label for e in entries if all(e.mean(*q.place) is None for q in QUANTITIES)]
    if 0 < len(nowhere) < len(entries):
        yield f"No budget is recorded for {joined(nowhere)}."
    for quantity in QUANTITIES:
        known = {e.label: v for e in entries if (v := e.mean(*quantity.place)) is not None}
        absent = [e.label for e in entries if e.label not in known and e.label not in nowhere]
        if absent and known:
            yield f"{_capital(quantity.words)}: not recorded for {joined(absent)}."
        if not known:
            continue
        least, most = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        if known[most] > quantity.tolerance * known[least]:
            low, high = (f"{quantity.write(known[label])} ({label})" for label in (least, most))
            times = f", a factor of {known[most] / known[least]:.3g}" if known[least] else ""
            yield f"{_capital(quantity.words)}: from {low} to {high}{times}."
    ready = [entry.label for entry in entries if pretrained(entry)]
    if 0 < len(ready) < len(entries):
        verb = "was" if len(ready) == 1 else "were"
        yield f"{joined(ready)} {verb} trained elsewhere or before; the others here."


def pretrained(entry: Entry) -> bool:
    """Whether its weights, or those that it began with, come from somewhere else."""
    return any(run.get("model", "origin") for run in entry.runs)


def unequal_for(comparison: Comparison, metric: Metric) -> bool:
    """Whether the entries that a metric ranks had unequal budgets."""
    ranked = [
        entry
        for entry in comparison.entries
        if metric.name in entry.cells and entry.label not in metric.apart
    ]
    return metric.ranked and len(ranked) > 1 and next(unequal(ranked), None) is not None


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"
