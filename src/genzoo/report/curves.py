"""Learning curves and metrics of a comparison as charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from genzoo.report.chart import Line, Point, chart, thinned
from genzoo.report.comparison import Comparison, Entry
from genzoo.report.runs import RunRecord, finite
from genzoo.report.text import qualified

HUES = 8  # colours that the page's style knows: hue0 to hue7
KINDS = ("train", "validation")
QUALITY = "quality/"  # begins the names of what metrics.during measures
FARTHEST = 4  # ratio of the longest to the shortest entry up to which they share an axis
MOST = 3  # losses of a model without a total that are shown at once


@dataclass(frozen=True)
class Figure:
    """A chart and what it shows.

    Attributes:
        label: whose it is.
        hue: the class of its colour.
        svg: an SVG element.
    """

    label: str
    hue: str
    svg: Markup


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of the curves.

    Attributes:
        key: its name in curves.jsonl.
        unit: of the axis, in units of the file.
        words: for the axis.
    """

    key: str
    unit: float
    words: str


def time_axis(comparison: Comparison) -> Axis:
    """Wall time of training, in the unit that suits the longest run."""
    longest = max((_end(entry, "seconds") for entry in comparison.entries), default=0.0)
    for limit, unit, words in ((180, 1, "seconds"), (10800, 60, "minutes")):
        if longest < limit:
            return Axis("seconds", unit, f"{words} of training")
    return Axis("seconds", 3600, "hours of training")


IMAGES = Axis("images", 1, "images seen")


def hue(number: int) -> str:
    """The class of an entry's colour."""
    return f"hue{number % HUES}"


def learning_curves(comparison: Comparison, axis: Axis) -> list[Figure]:
    """A chart an entry of its loss; see `shared_axis` for the horizontal one."""
    right = shared_axis(comparison, axis)
    figures: list[Figure] = []
    for k, entry in enumerate(comparison.entries):
        for name in _main(entry):
            label = entry.label if name == "total" else f"{entry.label}: {name}"
            figures += _figure(entry, name, axis, hue(k), label, right)
    return figures


def part_curves(comparison: Comparison) -> list[Figure]:
    """A chart of each part of each entry's loss that `learning_curves` leaves out."""
    right = shared_axis(comparison, IMAGES)
    return [
        figure
        for k, entry in enumerate(comparison.entries)
        for name in _names(entry)
        if name not in _main(entry)
        for figure in _figure(entry, name, IMAGES, hue(k), f"{entry.label}: {name}", right)
    ]


def quality_curves(comparison: Comparison, axis: Axis) -> list[Figure]:
    """A chart a metric that was measured during training, with a line for each run."""
    names = dict.fromkeys(
        key.removeprefix(QUALITY)
        for run in comparison.runs
        for point in run.curves
        for key in point
        if key.startswith(QUALITY)
    )
    names.pop("samples", None)
    return [figure for name in names for figure in _quality(comparison, name, axis)]


def quality_samples(comparison: Comparison) -> str:
    """How many samples each measurement during training is of, in words; empty without any."""
    counts: dict[int, list[str]] = {}
    for entry in comparison.entries:
        for run in entry.runs:
            for point in run.curves:
                count = point.get(f"{QUALITY}samples")
                if isinstance(count, int) and entry.label not in counts.setdefault(count, []):
                    counts[count].append(entry.label)
    if len(counts) == 1:
        return f"{next(iter(counts)):,} samples"
    parts = (f"{count:,} samples ({', '.join(labels)})" for count, labels in counts.items())
    return " and ".join(parts)


def _quality(comparison: Comparison, name: str, axis: Axis) -> Iterator[Figure]:
    lines = [
        Line(
            f"{entry.label}, seed {run.seed}",
            f"validation {hue(k)}",
            _points(run, f"{QUALITY}{name}", axis),
        )
        for k, entry in enumerate(comparison.entries)
        for run in entry.runs
    ]
    label = qualified(name)
    better = next((metric.better for metric in comparison.metrics if metric.name == name), None)
    drawing = chart(lines, x_label=axis.words, title=f"{label} against {axis.words}")
    if drawing:
        yield Figure(f"{label} ({better} is better)" if better else label, "", Markup(drawing))


def _figure(
    entry: Entry, name: str, axis: Axis, colour: str, label: str, right: float | None
) -> Iterator[Figure]:
    lines = [line for run in entry.runs for line in _lines(run, name, axis, colour)]
    title = f"{label}: loss against {axis.words}"
    svg = chart(lines, x_label=axis.words, title=title, right=right)
    if svg:
        yield Figure(label, colour, Markup(svg))


def _lines(run: RunRecord, name: str, axis: Axis, colour: str) -> Iterator[Line]:
    for kind in KINDS:
        points = _points(run, f"{kind}/{name}", axis)
        yield Line(f"{kind}, seed {run.seed}", f"{kind} {colour}", thinned(points))


def _points(run: RunRecord, name: str, axis: Axis) -> list[Point]:
    usable = (p for p in run.curves if finite(p.get(name)) and finite(p.get(axis.key)))
    return sorted((p[axis.key] / axis.unit, p[name]) for p in usable)


def _names(entry: Entry) -> list[str]:
    """The losses of an entry, without `train/` and `validation/`."""
    keys = dict.fromkeys(key for run in entry.runs for point in run.curves for key in point)
    split = (key.partition("/") for key in keys)
    return list(dict.fromkeys(name for kind, _, name in split if kind in KINDS and name))


def _main(entry: Entry) -> list[str]:
    names = _names(entry)
    return [name for name in names if name.split("/")[-1] == "total"] or names[:MOST]


def shared_axis(comparison: Comparison, axis: Axis) -> float | None:
    """Where the horizontal axis of all charts ends.

    None where one entry is so much longer than another that a shared axis would squeeze the
    other's curve: each chart then has its own.
    """
    ends = [end for entry in comparison.entries if (end := _end(entry, axis.key)) > 0]
    if not ends or max(ends) > FARTHEST * min(ends):
        return None
    return max(ends) / axis.unit


def _end(entry: Entry, key: str) -> float:
    values = (point.get(key) for run in entry.runs for point in run.curves)
    return max((float(v) for v in values if finite(v)), default=0.0)  # type: ignore[arg-type]
