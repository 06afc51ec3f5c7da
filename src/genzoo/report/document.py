"""The comparison as plain data, for other programs."""

from __future__ import annotations

from typing import Any

from genzoo.report.comparison import Cell, Comparison, Entry
from genzoo.report.runs import RunRecord, finite
from genzoo.report.text import cost_values


def document(comparison: Comparison) -> dict[str, Any]:
    """All numbers of the page; valid JSON, absent values are null."""
    return {
        "schema": 1,
        "command": comparison.command,
        "seeds": comparison.seeds,
        "metrics": [
            {
                "name": metric.name,
                "better": metric.better,
                "ranked": metric.ranked,
                "note": metric.note,
                "differing": {key: dict(values) for key, values in metric.differing.items()},
            }
            for metric in comparison.metrics
        ],
        "entries": [_entry(entry) for entry in comparison.entries],
        "failed": [
            {"run": run.folder.name, "model": run.model, "seed": run.seed, "error": run.error}
            for run in comparison.failed
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "label": entry.label,
        "model": entry.first.model,
        "sampling": entry.first.get("model", "sampling"),
        "capabilities": entry.first.get("model", "capabilities"),
        "metrics": {name: _cell(cell) for name, cell in entry.cells.items()},
        "cost": cost_values(entry),
        "runs": [_run(run) for run in entry.runs],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "value": _number(cell.value),
        "spread": _number(cell.spread),
        "spread_over": None if cell.spread is None else "seeds" if cell.runs > 1 else "estimate",
        "runs": cell.runs,
        "values": [_number(value) for value in cell.values],
        "rank": cell.rank,
        "stamp": {k: _plain(v) for k, v in cell.stamp.items()},
    }


def _run(run: RunRecord) -> dict[str, Any]:
    results = run.results or {}
    return {
        "run": run.folder.name,
        "seed": run.seed,
        "command": results.get("command"),
        "provenance": results.get("provenance"),
    }


def _number(value: float | None) -> float | None:
    return value if finite(value) else None


def _plain(value: Any) -> Any:
    """JSON knows no NaN."""
    return _number(value) if isinstance(value, float) else value
