"""Numbers in words, and the comparison as Markdown, as plain data and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genzoo.report.comparison import Cell, Comparison, Entry

ABSENT = "n/a"
COSTS = ("parameters", "images seen", "training", "images/s", "s/sample", "peak memory")


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def shown(cell: Cell | None) -> str:
    """A cell's value and spread."""
    if cell is None:
        return ABSENT
    spread = "" if cell.spread is None else f" ± {cell.spread:.2g}"
    return f"{number(cell.value)}{spread}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def costs(entry: Entry) -> dict[str, str]:
    """What an entry took, means over seeds."""
    results = entry.first.results or {}
    return dict(
        zip(
            COSTS,
            (
                f"{results['model']['parameters']:,}",
                f"{entry.mean('training', 'images_seen'):,.0f}",
                duration(entry.mean("training", "seconds")),
                number(entry.mean("training", "images_per_second")),
                f"{entry.mean('sampling', 'seconds_per_image'):.2g}",
                f"{entry.mean('training', 'peak_memory_bytes') / 2**30:.2f} GiB",
            ),
            strict=True,
        )
    )


def arrow(better: str) -> str:
    """Which way is better."""
    return "↓" if better == "lower" else "↑"


def table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of plain values, for a dashboard."""
    columns = ["model", "seeds", *(metric.name for metric in comparison.metrics), *COSTS]
    rows = [
        [
            entry.label,
            len(entry.runs),
            *(
                cell.value if (cell := entry.cells.get(metric.name)) else None
                for metric in comparison.metrics
            ),
            *costs(entry).values(),
        ]
        for entry in comparison.entries
    ]
    return columns, rows


def markdown(comparison: Comparison) -> str:
    """Metrics, costs, notes and commands; the best in bold."""
    heads = ["model", *(entry.label for entry in comparison.entries)]
    rows = []
    for metric in comparison.metrics:
        mark = "" if metric.note is None else " †"
        cells = [entry.cells.get(metric.name) for entry in comparison.entries]
        values = [f"**{shown(c)}**" if c is not None and c.best else shown(c) for c in cells]
        rows.append([f"{metric.name} {arrow(metric.better)}{mark}", *values])
    prices = [costs(entry) for entry in comparison.entries]
    rows += [[name, *(price[name] for price in prices)] for name in COSTS]
    notes = [f"† {m.name}: {m.note}" for m in comparison.metrics if m.note is not None]
    failures = [f"- {run.folder.name}: {run.error}" for run in comparison.failed]
    commands = [
        f"    {(run.results or {}).get('command')}" for e in comparison.entries for run in e.runs
    ]
    parts = [
        "# Comparison",
        _table(heads, rows),
        "\n".join(notes),
        "\n".join(["Failed:", "", *failures]) if failures else "",
        "\n".join(["Made by", "", f"    {comparison.command}"] if comparison.command else []),
        "\n".join(["Runs:", "", *dict.fromkeys(commands)]),
        "\n".join(
            sorted({e.first.attribution for e in comparison.entries if e.first.attribution})
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data."""
    return {
        "schema": 1,
        "command": comparison.command,
        "seeds": comparison.seeds,
        "metrics": [
            {"name": m.name, "better": m.better, "not_ranked": m.note} for m in comparison.metrics
        ],
        "entries": [
            {
                "label": entry.label,
                "model": entry.first.model,
                "runs": [run.folder.name for run in entry.runs],
                "seeds": [run.seed for run in entry.runs],
                "metrics": {
                    name: {
                        "value": cell.value,
                        "spread": cell.spread,
                        "runs": cell.runs,
                        "best": cell.best,
                        "stamp": dict(cell.stamp),
                    }
                    for name, cell in entry.cells.items()
                },
                "cost": costs(entry),
                "commands": [(run.results or {}).get("command") for run in entry.runs],
            }
            for entry in comparison.entries
        ],
        "failed": [{"run": run.folder.name, "error": run.error} for run in comparison.failed],
    }


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), line(["---", *["---:"] * (len(heads) - 1)]), *map(line, rows)])
