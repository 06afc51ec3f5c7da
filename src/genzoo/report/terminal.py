"""The comparison on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genzoo.report.budgets import MARK, budget_lines, unequal_for
from genzoo.report.comparison import Cell, Comparison, Entry
from genzoo.report.intervals import interval_notes, rank_note, spread_note
from genzoo.report.labels import SEPARATOR
from genzoo.report.references import Column, columns, reference_notes
from genzoo.report.text import (
    COSTS,
    arrow,
    costs,
    counted,
    extractor,
    footnotes,
    row_places,
    shown,
    title,
)

NUMBER = 15  # letters of a value with its spread, at least
STYLES = {"best": "bold green", "not separated": "green"}


def print_table(comparison: Comparison, console: Console | None = None) -> None:
    """Metrics and costs, as many models side by side as fit; then the notes."""
    console = console or Console()
    for entries in _fitting(comparison, console.width):
        console.print(_table(comparison, entries))
    notes = [spread_note(comparison), rank_note(comparison), *interval_notes(comparison)]
    for note in filter(None, [*notes, *reference_notes(comparison)]):
        console.print(Text(note, style="dim"))
    for line in budget_lines(comparison):
        console.print(Text(line, style="dim"))
    for note in footnotes(comparison):
        console.print(Text(f"† {note}"))
    for run in comparison.failed:
        console.print(Text(f"no results: {run.folder.name}: {run.error}", style="red"))


def _fitting(comparison: Comparison, width: int) -> list[Sequence[Column]]:
    every = columns(comparison)
    names = [f"{title(metric.name)} ↓ †" for metric in comparison.metrics]
    left = max(map(len, [*names, *(name for name, *_ in COSTS)])) + 4
    parts = [part for column in every for part in column.label.split(SEPARATOR)]
    numbers = [
        len(_cell(column.cells.get(metric.name), row_places(comparison, metric)))
        for metric in comparison.metrics
        for column in every
    ]
    each = max([NUMBER, *numbers, *map(len, parts)]) + 3
    count = max(1, (width - left) // each)
    return [every[k : k + count] for k in range(0, len(every), count)]


def _table(comparison: Comparison, entries: Sequence[Column]) -> Table:
    table = Table(header_style="bold")
    table.add_column("")
    for entry in entries:
        name = entry.label.replace(SEPARATOR, "\n")
        of = counted(entry) if isinstance(entry, Entry) else ""
        head = "\n".join(filter(None, (name, of)))
        table.add_column(Text(head), justify="right", min_width=NUMBER)
    heading = ""
    for metric in comparison.metrics:
        if extractor(metric.name) != heading:
            heading = extractor(metric.name)
            table.add_section()
            if heading:
                table.add_row(Text(heading, style="dim"))
        places = row_places(comparison, metric)
        name = f"{title(metric.name)} {arrow(metric.better)}{' †' if metric.footnoted else ''}"
        mark = MARK if unequal_for(comparison, metric) else ""
        cells = (_cell(entry.cells.get(metric.name), places, mark) for entry in entries)
        table.add_row(Text(name), *cells)
    table.add_section()
    prices = [costs(entry) if isinstance(entry, Entry) else {} for entry in entries]
    for name, *_ in COSTS if any(prices) else ():
        table.add_row(name, *(price.get(name, "") for price in prices))
    return table


def _cell(cell: Cell | None, places: int, unequal: str = "") -> Text:
    rank = cell.rank if cell else None
    before = "≈ " if rank == "not separated" else ""
    after = f" {unequal}" if rank == "best" and unequal else ""
    return Text(f"{before}{shown(cell, places)}{after}", style=STYLES.get(rank or "", ""))
