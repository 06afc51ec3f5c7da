"""A panel for each metric: what it says, and a row for each model with its place on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from genzoo.report.budgets import MARK, unequal_for
from genzoo.report.comparison import Cell, Comparison, Metric
from genzoo.report.curves import hue
from genzoo.report.lanes import Lane, Scale, lane, scale_of
from genzoo.report.meanings import sentence
from genzoo.report.nearness import nearness
from genzoo.report.references import Reference, references
from genzoo.report.text import alternatives, extractor, row_places


@dataclass(frozen=True)
class Row:
    """A model, or real images, in a panel.

    Attributes:
        label: whose it is.
        hue: the class of its colour.
        cell: its number.
        lane: an SVG element with its place.
        near: how close it is to real images, in words; empty if that cannot be said.
        real: whether it is one of real images.
    """

    label: str
    hue: str
    cell: Cell
    lane: Markup
    near: str = ""
    real: bool = False


@dataclass(frozen=True)
class Panel:
    """A metric.

    Attributes:
        metric: what was measured.
        sentence: what it says; empty if unknown.
        places: decimal places of its numbers.
        rows: the models that have the number, then real images.
        absent: the labels of those that have none.
        mark: what stands at the best number where budgets were unequal; empty otherwise.
        near: what the rows' closeness to real images is in; empty where no row has one.
    """

    metric: Metric
    sentence: str
    places: int
    rows: tuple[Row, ...]
    absent: tuple[str, ...]
    mark: str
    near: str = ""


def blocks(comparison: Comparison) -> list[tuple[str, list[Panel]]]:
    """The panels, under a heading for what each was measured on."""
    rows = {row.name: row for row in references(comparison)}
    found: dict[str, list[Panel]] = {}
    for metric in comparison.metrics:
        panel = _panel(comparison, metric, rows)
        found.setdefault(_heading(comparison, metric), []).append(panel)
    return list(found.items())


def _panel(comparison: Comparison, metric: Metric, real: Mapping[str, Reference]) -> Panel:
    name = metric.name
    models = [
        (entry.label, hue(k), entry.cells[name])
        for k, entry in enumerate(comparison.entries)
        if name in entry.cells
    ]
    others = [
        (row.label, "of-real", row.cells[name]) for row in real.values() if name in row.cells
    ]
    marks = [(label, cell.value) for label, _, cell in others]
    scale = scale_of([_lane(*each) for each in (*models, *others)], better=metric.better)
    near = nearness(comparison, name, real)
    rows = [
        Row(*each, _drawn(_lane(*each), scale, marks), near.words.get(each[0], ""))
        for each in models
    ]
    rows += [Row(*each, _drawn(_lane(*each), scale, marks), real=True) for each in others]
    return Panel(
        metric,
        sentence(name),
        row_places(comparison, metric),
        tuple(rows),
        tuple(entry.label for entry in comparison.entries if name not in entry.cells),
        MARK if unequal_for(comparison, metric) else "",
        near.head if near.words else "",
    )


def _lane(label: str, colour: str, cell: Cell) -> Lane:
    return Lane(label, colour, cell.values, cell.interval)


def _drawn(row: Lane, scale: Scale | None, marks: Sequence[tuple[str, float]]) -> Markup:
    return Markup("" if scale is None else lane(row, scale, marks=marks))


def _heading(comparison: Comparison, metric: Metric) -> str:
    """What a metric was measured on, as far as its stamps agree."""
    stamps = [e.cells[metric.name].stamp for e in comparison.entries if metric.name in e.cells]

    def known(key: str) -> str:
        return alternatives(stamp.get(key) for stamp in stamps)

    name = extractor(metric.name) or known("extractor")
    if name:
        split = known("real_split")
        return f"Samples against {f'{split} ' if split else ''}images, features of {name}"
    if known("caption_split"):
        return f"Samples and their captions, of the {known('caption_split')} split"
    split = known("split")
    return f"Images of the {split} split" if split else "Further metrics"
