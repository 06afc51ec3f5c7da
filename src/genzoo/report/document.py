"""The comparison as plain data, for other programs."""

from __future__ import annotations

from typing import Any

from genzoo.metrics.difference import Decision
from genzoo.report.budgets import budget_lines, unequal_for
from genzoo.report.comparison import Cell, Comparison, Entry
from genzoo.report.meanings import sentence
from genzoo.report.references import references
from genzoo.report.runs import RunRecord, finite
from genzoo.report.text import cost_values


def document(comparison: Comparison) -> dict[str, Any]:
    """All numbers of the page; valid JSON, absent values are null."""
    return {
        "schema": 1,
        "command": comparison.command,
        "seeds": comparison.seeds,
        "budgets": budget_lines(comparison),
        "metrics": [
            {
                "name": metric.name,
                "better": metric.better,
                "says": sentence(metric.name),
                "unequal_budgets": unequal_for(comparison, metric),
                "ranked": metric.ranked,
                "note": metric.note,
                "caution": metric.caution,
                "differing": {key: dict(values) for key, values in metric.differing.items()},
                "tests": _tests(metric.decision),
                "apart": dict(metric.apart),
                "scorer_trained_on": metric.known,
            }
            for metric in comparison.metrics
        ],
        "entries": [_entry(entry) for entry in comparison.entries],
        "references": [
            {
                "name": row.name,
                "label": row.label,
                "metrics": {name: _cell(cell) for name, cell in row.cells.items()},
                "differing": list(row.differing),
            }
            for row in references(comparison)
        ],
        "failed": [
            {"run": run.folder.name, "model": run.model, "seed": run.seed, "error": run.error}
            for run in comparison.failed
        ],
    }


def _tests(decision: Decision | None) -> dict[str, Any] | None:
    """What the ranking rests on; null where nothing is ranked."""
    if decision is None:
        return None
    return {"over": sorted(decision.bases), "without": list(decision.reasons)}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "label": entry.label,
        "model": entry.first.model,
        "sampling": entry.first.get("model", "sampling"),
        "capabilities": entry.first.get("model", "capabilities"),
        "trainings": entry.trainings,
        "metrics": {name: _cell(cell) for name, cell in entry.cells.items()},
        "cost": cost_values(entry),
        "runs": [_run(run) for run in entry.runs],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "value": _number(cell.value),
        "spread": _number(cell.spread),
        "spread_over": _over(cell, cell.spread, "estimate"),
        "interval": None if cell.interval is None else list(map(_number, cell.interval)),
        "interval_over": _over(cell, cell.interval, "samples"),
        "trainings": cell.trainings,
        "values": [_number(value) for value in cell.values],
        "rank": cell.rank,
        "p": _number(cell.p),
        "apart": cell.apart,
        "stamp": {k: _plain(v) for k, v in cell.stamp.items()},
    }


def _over(cell: Cell, value: object, alone: str) -> str | None:
    if value is None:
        return None
    return "trainings" if cell.trainings > 1 else alone


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
