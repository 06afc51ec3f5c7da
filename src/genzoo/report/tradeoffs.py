"""Quality against what it costs: time per sample, sampler steps, the scale of guidance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from genzoo.metrics.revisions import kind_of
from genzoo.report.comparison import Comparison, Entry, Metric
from genzoo.report.curves import Figure, hue
from genzoo.report.labels import SEPARATOR, settings_of
from genzoo.report.runs import finite
from genzoo.report.scatter import Spot, scatter
from genzoo.report.text import arrow, joined, qualified, title

ALIKE = 1.25  # ratio of times per sample up to which there is nothing to trade
SCALE, SAMPLER = "guidance.scale", "sampler"
# Of these the first that was measured, and the first of the others.
QUALITY = (
    ("frechet_distance", "kernel_distance", "cmmd"),
    ("clip_score", "caption_accuracy", "precision"),
)
# What guidance trades: (x, y) by kind.
TRADED = (("clip_score", "frechet_distance"), ("precision", "recall"))


def against_time(comparison: Comparison) -> list[Figure]:
    """Quality against seconds per sample; entries that differ in the sampler alone are joined."""
    timed = {e.label: s for e in comparison.entries if (s := _seconds(e)) is not None and s > 0}
    if len(timed) < 2 or max(timed.values()) < ALIKE * min(timed.values()):
        return []
    unit, words = (1e-3, "milliseconds") if max(timed.values()) < 1 else (1.0, "seconds")
    figures: list[Figure] = []
    for kinds in QUALITY:
        metric = _first(comparison, kinds)
        if metric is None:
            continue
        points = {
            label: (seconds / unit, value)
            for label, seconds in timed.items()
            if (value := _value(comparison, label, metric)) is not None
        }
        groups = _series(comparison, points, SAMPLER)
        figures += _figure(comparison, points, groups, metric, f"{words} per sample")
    return figures


def guidance(comparison: Comparison) -> list[Figure]:
    """What a larger scale of guidance gains and costs, of entries that differ in it alone."""
    figures: list[Figure] = []
    for kind_x, kind_y in TRADED:
        x, y = _first(comparison, (kind_x,)), _first(comparison, (kind_y,))
        if x is None or y is None:
            continue
        points = {
            entry.label: (across, down)
            for entry in comparison.entries
            if (across := _value(comparison, entry.label, x)) is not None
            and (down := _value(comparison, entry.label, y)) is not None
        }
        groups = [g for g in _series(comparison, points, SCALE) if len(g) > 1]
        figures += _figure(comparison, points, groups, y, f"{title(x.name)} {arrow(x.better)}")
    return figures


def _figure(
    comparison: Comparison,
    points: dict[str, tuple[float, float]],
    groups: Sequence[Sequence[tuple[Entry, str]]],
    metric: Metric,
    x_label: str,
) -> Iterator[Figure]:
    colours = {entry.label: hue(k) for k, entry in enumerate(comparison.entries)}
    series = [
        [
            Spot(name, colours[group[0][0].label], points[entry.label], entry.label)
            for entry, name in group
        ]
        for group in groups
    ]
    heading = f"{qualified(metric.name)} against {x_label.rstrip(' ↓↑')}"
    y_label = f"{title(metric.name)} {arrow(metric.better)}"
    drawing = scatter(series, x_label=x_label, y_label=y_label, title=heading)
    if drawing and len(points) > 1:
        yield Figure(heading, "", Markup(drawing))


def _series(
    comparison: Comparison, points: dict[str, tuple[float, float]], key: str
) -> list[list[tuple[Entry, str]]]:
    """Entries that are equal but for `key` and what is below it, each with its name there."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in comparison.entries:
        if entry.label in points:
            settings = settings_of(entry.first)
            same = tuple(sorted((k, v) for k, v in settings.items() if not _within(k, key)))
            groups.setdefault((entry.first.model, entry.first.fingerprint, *same), []).append(
                entry
            )
    named = [[(entry, _name(entry, group, key)) for entry in group] for group in groups.values()]
    return [sorted(group, key=lambda each: _order(each[0], key)) for group in named]


def _name(entry: Entry, group: Sequence[Entry], key: str) -> str:
    """What tells it apart within its series; the first of those has the model's name as well."""
    model = entry.label.partition(" (from ")[0].split(SEPARATOR)[0]
    if len(group) == 1:
        return entry.label if SEPARATOR in entry.label else model
    settings = [settings_of(other.first) for other in group]
    own = settings_of(entry.first)
    keys = [k for k in own if _within(k, key) and len({s.get(k) for s in settings}) > 1]
    keys = [k for k in keys if not k.endswith("_target_")]
    parts = [f"{own[k]} steps" if k.endswith(".steps") else own[k] for k in sorted(keys)]
    return " ".join(parts) or model


def _order(entry: Entry, key: str) -> tuple[float, float]:
    """By the number in question, otherwise by time per sample."""
    own = settings_of(entry.first)
    known = own.get(key, "")
    number = float(known) if known.replace(".", "", 1).isdigit() else math.inf
    return number, _seconds(entry) or math.inf


def _within(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def _first(comparison: Comparison, kinds: Sequence[str]) -> Metric | None:
    found = [m for kind in kinds for m in comparison.metrics if kind_of(m.name) == kind]
    usable = [m for m in found if m.ranked and not m.name.endswith("/shuffled")]
    return next(iter(usable), None)


def _value(comparison: Comparison, label: str, metric: Metric) -> float | None:
    """The number of an entry that may be compared with the others'."""
    if label in metric.apart:
        return None
    entry = next(entry for entry in comparison.entries if entry.label == label)
    cell = entry.cells.get(metric.name)
    return cell.value if cell is not None and finite(cell.value) else None


def _seconds(entry: Entry) -> float | None:
    return entry.mean("sampling", "seconds_per_image")


def devices_note(comparison: Comparison) -> str:
    """A sentence where times per sample are of several devices; empty where they are of one."""
    devices = dict.fromkeys(
        str(name) for run in comparison.runs if (name := run.get("provenance", "device"))
    )
    if len(devices) < 2:
        return ""
    return f"The times are of different devices ({joined(list(devices))})."
