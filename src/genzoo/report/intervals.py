"""What intervals, spreads and marks of a comparison mean, in words."""

from __future__ import annotations

from genzoo.metrics.interval import METHODS
from genzoo.metrics.revisions import kind_of
from genzoo.report.comparison import Cell, Comparison, Metric
from genzoo.report.references import references
from genzoo.report.text import joined, title


def spread_note(comparison: Comparison) -> str:
    """What ± means in this comparison; empty where there is none."""
    cells = [cell for entry in comparison.entries for cell in entry.cells.values()]
    parts = []
    if any(cell.spread is not None and cell.trainings > 1 for cell in cells):
        parts.append("± is the standard deviation over trainings")
    alone = [cell for cell in cells if cell.trainings == 1 and cell.interval is None]
    if any(cell.spread is not None for cell in alone):
        parts.append("(±) is the spread over an estimate's splits or subsets, and no interval")
    return "; ".join(parts) + "." if parts else ""


def rank_note(comparison: Comparison) -> str:
    """What the marks mean; empty where nothing is marked."""
    ranks = {cell.rank for entry in comparison.entries for cell in entry.cells.values()}
    tested = {
        basis for m in comparison.metrics if m.decision is not None for basis in m.decision.bases
    }
    parts = []
    if "best" in ranks:
        parts.append("the best is marked where tests at 5 % separate it from every other")
    if "not separated" in ranks:
        parts.append("≈ marks the best number and those that are not separated from it")
    if "samples" in tested:
        parts.append(
            "where models were trained once, these two trainings are compared, never the methods"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def interval_notes(comparison: Comparison) -> list[str]:
    """What the interval of each metric is, and why models are not tested; the same in one line."""
    found: dict[str, list[str]] = {}
    for metric in comparison.metrics:
        name = title(metric.name)
        for line in filter(None, (_interval(comparison, metric), _untested(metric))):
            found.setdefault(line, []).append(name)
    return [f"{joined(list(dict.fromkeys(names)))}: {line}." for line, names in found.items()]


def _interval(comparison: Comparison, metric: Metric) -> str | None:
    """Of models that were trained once, or of real images if none was."""
    models, real = (
        [c for row in rows if (c := row.cells.get(metric.name)) is not None and _alone(c)]
        for rows in (comparison.entries, references(comparison))
    )
    if not (models or real):
        return None
    stamp = (models or real)[0].stamp
    held_out = "real_images" not in stamp and "split" in stamp
    over = ("held-out images" if held_out else "samples") if models else "real images"
    words = f"[ ] is the 95 % interval over {over}{' of this one training' if models else ''}"
    return ", ".join(filter(None, (words, METHODS.get(kind_of(metric.name)))))


def _alone(cell: Cell) -> bool:
    return cell.trainings == 1 and cell.interval is not None


def _untested(metric: Metric) -> str | None:
    reasons = metric.decision.reasons if metric.decision is not None else ()
    return f"not separated where there is no test: {'; '.join(reasons)}" if reasons else None
