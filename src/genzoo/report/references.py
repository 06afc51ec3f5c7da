"""What real images score beside the models: shown as they are, and never ranked."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genzoo.metrics.revisions import kind_of
from genzoo.metrics.stamp import comparable
from genzoo.report.comparison import Cell, Comparison, Entry
from genzoo.report.labels import SEPARATOR
from genzoo.report.runs import RunRecord, finite
from genzoo.report.text import joined, qualified

HELD_OUT = "real_held_out"
# What each row means, for the reader.
MEANINGS = {
    HELD_OUT: "what a perfect model would score, measured on images that nobody was trained on",
    "training_again": "what a model would score that gives back its training images",
    "real_captions": "real images with the captions that the samples were made for",
    "shuffled_captions": "the same images with each other's captions: the level of chance",
}


@dataclass(frozen=True)
class Reference:
    """A column of real images.

    Attributes:
        name: as in results.json.
        label: what it is, and of how many images.
        cells: its metrics by name.
        differing: metrics that have no cell since the runs' references are not the same.
    """

    name: str
    label: str
    cells: Mapping[str, Cell]
    differing: tuple[str, ...] = ()


Column = Entry | Reference


def references(comparison: Comparison) -> list[Reference]:
    """The reference rows that the runs have in common, each once.

    Those of images of other programs, which may be of another number, only count by themselves.
    """
    models = [run for run in comparison.runs if not run.of_images]
    rows = [_rows(run) for run in models or comparison.runs]
    names = dict.fromkeys(name for each in rows for name in each)
    found = [_reference(name, [each[name] for each in rows if name in each]) for name in names]
    return [reference for reference in found if reference.cells or reference.differing]


def columns(comparison: Comparison) -> list[Column]:
    """The models, then the real images."""
    return [*comparison.entries, *references(comparison)]


def reference_notes(comparison: Comparison) -> list[str]:
    """What the rows mean, how close the models come to them, and what could not be shown."""
    found = references(comparison)
    meanings = [
        f"{_name(row)}: {MEANINGS[row.name]}"
        for row in found
        if row.cells and row.name in MEANINGS
    ]
    lines = [f"Real images are not ranked. {'; '.join(meanings)}."] if meanings else []
    lines += _closeness(comparison)
    for row in found:
        if row.differing:
            names = joined(list(dict.fromkeys(map(qualified, row.differing))))
            lines.append(f"{_name(row)}: not the same for all runs, so not shown for {names}.")
    return lines


def _name(row: Reference) -> str:
    return row.label.partition(SEPARATOR)[0].capitalize()


def _rows(run: RunRecord) -> dict[str, dict[str, Any]]:
    rows = (run.results or {}).get("references")
    found = rows.items() if isinstance(rows, dict) else ()
    return {
        str(name): row
        for name, row in found
        if isinstance(row, dict) and isinstance(row.get("metrics"), dict)
    }


def _reference(name: str, rows: Sequence[Mapping[str, Any]]) -> Reference:
    cells, differing = dict[str, Cell](), list[str]()
    for metric in dict.fromkeys(metric for row in rows for metric in row["metrics"]):
        entries = [row["metrics"][metric] for row in rows if metric in row["metrics"]]
        usable = [entry for entry in entries if _usable(entry)]
        if not usable:
            continue
        if any(comparable(usable[0]["stamp"], entry["stamp"]) for entry in usable):
            differing.append(metric)
        else:
            cells[metric] = _cell(usable[0])
    counts = sorted({row["images"] for row in rows if isinstance(row.get("images"), int)})
    count = " or ".join(f"{count:,}" for count in counts)
    label = str(rows[0].get("label") or name)
    return Reference(name, f"{label}{SEPARATOR}{count} images", cells, tuple(differing))


def _usable(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and finite(entry.get("value"))
        and isinstance(entry.get("stamp"), dict)
    )


def _cell(entry: Mapping[str, Any]) -> Cell:
    value, spread, ends = float(entry["value"]), entry.get("spread"), entry.get("interval")
    known = isinstance(ends, list) and len(ends) == 2 and all(map(finite, ends))
    interval = (float(ends[0]), float(ends[1])) if known and ends is not None else None
    kept = float(spread) if spread is not None and finite(spread) else None
    return Cell(value, kept, 1, (value,), entry["stamp"], interval=interval)


def _closeness(comparison: Comparison) -> Iterator[str]:
    """The samples' Fréchet distance in units of that of as many held-out images."""
    for metric in comparison.metrics:
        if kind_of(metric.name) != "frechet_distance":
            continue
        by_label = {entry.label: near(entry, metric.name) for entry in comparison.entries}
        ratios = {label: found[0] for label, found in by_label.items() if found is not None}
        counts = sorted({found[1] for found in by_label.values() if found is not None})
        if not ratios:
            continue
        each = joined([f"{label} {ratio:.3g}" for label, ratio in ratios.items()])
        count = " or ".join(f"{count:,}" for count in counts)
        below = "; below 1 is nearer than new real images are, as copies would be"
        yield (
            f"{qualified(metric.name)}, how many times that of held-out real images ({count} of "
            f"each): {each}{below if min(ratios.values()) < 1 else ''}."
        )


def near(entry: Entry, metric: str) -> tuple[float, int] | None:
    """The ratio, mean over runs, and the number of images behind both distances."""
    found = [run.get("closeness", metric) for run in entry.runs]
    pairs = [
        (near["value"] / near[HELD_OUT], near["images"])
        for near in found
        if isinstance(near, dict)
        and finite(near.get("value"))
        and finite(near.get(HELD_OUT))
        and near[HELD_OUT] > 0
        and isinstance(near.get("images"), int)
    ]
    if not pairs or len(pairs) < len(found):
        return None
    return statistics.fmean(ratio for ratio, _ in pairs), pairs[0][1]
