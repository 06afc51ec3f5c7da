"""Numbers and names in words, and the comparison as a plain table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from genzoo.report.comparison import Cell, Comparison, Entry, Metric
from genzoo.report.runs import finite

ABSENT = "n/a"
TITLES = {
    "frechet_distance": "Fréchet distance",
    "frechet_distance_infinity": "Fréchet distance at ∞",
    "fid": "FID",
    "fid_infinity": "FID at ∞",
    "fd_dinov2": "FD-DINOv2",
    "fd_dinov2_infinity": "FD-DINOv2 at ∞",
    "cmmd": "CMMD",
    "vendi": "Vendi score",
    "inception_score": "Inception Score",
    "kernel_distance": "Kernel distance",
    "kid": "KID",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "bits_per_dim": "Bits per dimension",
    "reconstruction_psnr": "Reconstruction PSNR",
    "clip_score": "CLIP score",
    "memorised": "Near-copies",
}
# Kinds whose names have a part after the slash, and no network of features.
IN_PARTS = ("caption_accuracy", "recall_at_1", "recall_at_5", "prior_recall_at_1",
            "prior_recall_at_5", "accuracy")  # fmt: skip


def title(name: str) -> str:
    """A metric's name for the reader, without its extractor: ``Caption accuracy, count``."""
    kind, _, rest = name.partition("/")
    known = TITLES.get(kind, kind.replace("_", " ").capitalize())
    part = rest if kind in IN_PARTS else ""
    return ", ".join(filter(None, [known, *part.replace("_", " ").split("/")]))


def extractor(name: str) -> str:
    """Whose features a metric is taken from; empty for those without."""
    kind, _, rest = name.partition("/")
    return "" if kind in IN_PARTS else rest


def qualified(name: str) -> str:
    """A metric's name for the reader, with its extractor."""
    return f"{title(name)} ({extractor(name)})" if extractor(name) else title(name)


def arrow(better: str) -> str:
    """The direction that is better."""
    return {"lower": "↓", "higher": "↑"}.get(better, "")


def decimals(cells: Iterable[Cell]) -> int:
    """Decimal places for one row of numbers: two digits of the largest error, or four in all."""
    shown = [cell for cell in cells if finite(cell.value)]
    largest = max((abs(cell.value) for cell in shown), default=0.0)
    error = max(map(_error, shown), default=0.0)
    places = 3 - _magnitude(largest)
    if error:
        places = min(places, 1 - _magnitude(error))
    return max(0, min(places, 4))


def _error(cell: Cell) -> float:
    """The half width of what is shown beside a value; 0 without."""
    if cell.trainings == 1 and cell.interval is not None:
        return (cell.interval[1] - cell.interval[0]) / 2
    return cell.spread or 0.0


def _magnitude(value: float) -> int:
    return math.floor(math.log10(value)) if value > 0 else 0


def value_text(cell: Cell, places: int) -> str:
    """The mean alone."""
    return f"{cell.value:,.{places}f}" if finite(cell.value) else str(cell.value)


def spread_text(cell: Cell, places: int) -> str:
    """The spread over trainings, ``± 1.2``, or of one training the interval, ``[8.1, 9.4]``.

    Without an interval ``(± 1.2)``, the estimate's own spread; empty without either.
    """
    if cell.trainings == 1 and cell.interval is not None:
        low, high = cell.interval
        return f"[{low:,.{places}f}, {high:,.{places}f}]"
    if cell.spread is None:
        return ""
    text = f"± {cell.spread:,.{places}f}"
    return text if cell.trainings > 1 else f"({text})"


def shown(cell: Cell | None, places: int) -> str:
    """A cell's value and spread."""
    if cell is None:
        return ABSENT
    mark = " †" if cell.apart else ""
    return f"{value_text(cell, places)} {spread_text(cell, places)}".rstrip() + mark


def row_places(comparison: Comparison, metric: Metric) -> int:
    """Decimal places of a metric's row."""
    return decimals(e.cells[metric.name] for e in comparison.entries if metric.name in e.cells)


def footnotes(comparison: Comparison) -> list[str]:
    """Why metrics are not ranked, those with the same reason in one line; whom that concerns."""
    metrics = comparison.metrics
    said = [(metric, metric.note) for metric in metrics if metric.note]
    said += [
        (metric, f"{label} is shown and not ranked with the others ({reason})")
        for metric in metrics
        for label, reason in metric.apart.items()
    ]
    said += [(m, f"the scorer was trained on {m.known}") for m in metrics if m.known]
    said += [(metric, metric.caution) for metric in metrics if metric.caution]
    reasons: dict[str, dict[str, list[str]]] = {}
    for metric, note in said:
        names = reasons.setdefault(note, {}).setdefault(extractor(metric.name), [])
        names.append(title(metric.name))
    lines = []
    for note, extractors in reasons.items():
        parts = (
            f"{joined(names)}{f' ({name})' if name else ''}" for name, names in extractors.items()
        )
        lines.append(f"{'; '.join(parts)}: {note}.")
    return lines


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for limit, unit, size in ((1e-3, "µs", 1e-6), (1.0, "ms", 1e-3), (60.0, "s", 1.0)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def memory(size: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.2f} GiB"


def rate(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float, places: int = 0) -> str:
    """A share as 87 %."""
    return f"{100 * share:.{places}f} %"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


# A cost's name, its place in results.json, its name in plain tables, and its format.
COSTS: tuple[tuple[str, tuple[str, str], str, Callable[[float], str]], ...] = (
    ("Parameters", ("model", "parameters"), "parameters", _whole),
    ("Images seen", ("training", "images_seen"), "images_seen", _whole),
    ("Training time", ("training", "seconds"), "training_seconds", duration),
    ("Images per second, training", ("training", "images_per_second"), "images_per_second", rate),
    ("Time per sample", ("sampling", "seconds_per_image"), "seconds_per_sample", duration),
    ("Peak memory", ("training", "peak_memory_bytes"), "peak_memory_bytes", memory),
)


def counted(entry: Entry) -> str:
    """How many trainings and samplings an entry's numbers are from; empty for one run."""
    trainings, runs = entry.trainings, len(entry.runs)
    if runs == 1:
        return ""
    text = f"{trainings} training{'s' if trainings > 1 else ''}"
    return text if runs == trainings else f"{text}, sampled {runs} times"


def costs(entry: Entry) -> dict[str, str]:
    """What an entry took, means over runs, in words."""
    values = ((name, entry.mean(*place), write) for name, place, _, write in COSTS)
    return {name: ABSENT if v is None else write(v) for name, v, write in values}


def cost_values(entry: Entry) -> dict[str, float | None]:
    """The same as numbers: seconds, bytes, counts."""
    return {key: entry.mean(*place) for _, place, key, _ in COSTS}


def table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of plain values, one row an entry, for a dashboard.

    Absent values are None.
    """
    names = [metric.name for metric in comparison.metrics]
    columns = ["model", "trainings", *(c for n in names for c in (n, f"{n} ±"))]
    columns += [key for _, _, key, _ in COSTS]
    rows = []
    for entry in comparison.entries:
        cells = [entry.cells.get(name) for name in names]
        numbers = [part for c in cells for part in ((c.value, c.spread) if c else (None, None))]
        rows.append([entry.label, entry.trainings, *numbers, *cost_values(entry).values()])
    return columns, rows


def joined(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def alternatives(values: Iterable[Any]) -> str:
    """The different values among these, in order: 32 or 64; empty where there are none."""
    known = list(dict.fromkeys(str(value) for value in values if value is not None))
    return " or ".join(known)


def stamp_text(stamp: Mapping[str, Any]) -> str:
    """A stamp as lines."""
    return "\n".join(f"{key}: {'none' if v is None else v}" for key, v in stamp.items())
