"""The comparison as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from genzoo.report.budgets import MARK, budget_lines, unequal_for
from genzoo.report.comparison import Comparison
from genzoo.report.intervals import interval_notes, rank_note, spread_note
from genzoo.report.meanings import sentence
from genzoo.report.references import columns, reference_notes
from genzoo.report.summary import facts, headline, one_sentence
from genzoo.report.text import (
    ABSENT,
    COSTS,
    arrow,
    costs,
    footnotes,
    qualified,
    row_places,
    shown,
    title,
)


def markdown(comparison: Comparison, *, sheet: str | None = None) -> str:
    """Metrics, costs, notes, commands and licence; the best in bold.

    Args:
        comparison: what to write down.
        sheet: the file of samples side by side, relative to the Markdown file.
    """
    notes = [spread_note(comparison), rank_note(comparison)]
    attributions = dict.fromkeys(run.attribution for run in comparison.runs if run.attribution)
    parts = [
        f"# {_plain(headline(comparison))}",
        _plain(one_sentence(comparison)),
        "\n".join(f"- {name}: {_plain(value)}" for name, value in facts(comparison)),
        "\n".join(f"- {_plain(line)}" for line in budget_lines(comparison)),
        *(_tables(comparison) if comparison.entries else ()),
        _meanings(comparison),
        " ".join(note for note in notes if note),
        "\n".join(
            f"- {_plain(note)}"
            for note in (*interval_notes(comparison), *reference_notes(comparison))
        ),
        "\n\n".join(f"† {_plain(note)}" for note in footnotes(comparison)),
        _failures(comparison),
        f"![Real images first, then each model's samples]({sheet})" if sheet else "",
        _commands(comparison),
        "\n\n".join(_plain(text) for text in attributions),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _tables(comparison: Comparison) -> list[str]:
    every = columns(comparison)
    heads = ["", *(column.label for column in every)]
    metrics = []
    for metric in comparison.metrics:
        places = row_places(comparison, metric)
        mark = " †" if metric.footnoted else ""
        row = [f"{_plain(qualified(metric.name))} {arrow(metric.better)}{mark}"]
        for column in every:
            cell = column.cells.get(metric.name)
            text = shown(cell, places)
            best = f"**{text}**{f' {MARK}' if unequal_for(comparison, metric) else ''}"
            marked = {"best": best, "not separated": f"≈ {text}"}
            row.append(marked.get(cell.rank or "", text) if cell else ABSENT)
        metrics.append(row)
    prices = [costs(entry) for entry in comparison.entries]
    rows = [[name, *(price[name] for price in prices)] for name, *_ in COSTS]
    models = heads[: len(prices) + 1]
    return ["## Metrics", _table(heads, metrics), "## Cost", _table(models, rows)]


def _meanings(comparison: Comparison) -> str:
    said = {title(metric.name): sentence(metric.name) for metric in comparison.metrics}
    return "\n".join(f"- {_plain(name)}: {text}" for name, text in said.items() if text)


def _failures(comparison: Comparison) -> str:
    if not comparison.failed:
        return ""
    lines = (
        f"- {_plain(run.folder.name)}: {_plain(run.error or '')}" for run in comparison.failed
    )
    return "\n".join(["## Without results", "", *lines])


def _commands(comparison: Comparison) -> str:
    commands = [
        comparison.command,
        *((run.results or {}).get("command") for run in comparison.runs),
    ]
    lines = dict.fromkeys(" ".join(str(c).split()) for c in commands if c)
    return "\n".join(["## Made by", "", *(f"    {line}" for line in lines)]) if lines else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    ruler = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join([line([_plain(h) for h in heads]), line(ruler), *map(line, rows)])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", " ".join(text.split()))
