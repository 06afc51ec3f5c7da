"""A small SVG chart of one number against another, with names beside the points."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from genzoo.report.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, label, ticks

LETTER, LINE = 5.9, 13.0  # width of a letter and height of a line, at the style's font size
LOGARITHMIC = 8.0  # ratio of the largest to the smallest value from which an axis is so
LONGEST = 26  # letters of a name

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Spot:
    """A point.

    Attributes:
        name: written beside it.
        style: the class of its colour.
        at: (x, y), finite.
        note: its tooltip.
    """

    name: str
    style: str
    at: Point
    note: str


def scatter(series: Sequence[Sequence[Spot]], *, x_label: str, y_label: str, title: str) -> str:
    """An SVG element; the points of a series are joined by a line in their order.

    An axis is logarithmic where all its values are positive and span a factor of eight or more.

    Args:
        series: of one or more points each.
        x_label: of the horizontal axis.
        y_label: of the vertical one, written above it.
        title: a description of the chart, for screen readers.
    """
    spots = [spot for line in series for spot in line]
    if not spots:
        return ""
    across, columns = _axis([s.at[0] for s in spots], LEFT, WIDTH - RIGHT - 8, 4)
    down, rows = _axis([s.at[1] for s in spots], HEIGHT - BOTTOM, TOP + 14, 4)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="chart" '
        f'aria-label="{escape(title)}">'
    ]
    parts += [_text(LEFT - 38, TOP + 3, y_label, "start")]
    for value in rows:
        parts.append(f'<path class="rule" d="M{LEFT} {down(value):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 7, down(value) + 3.5, label(value), "end"))
    parts.append(f'<path class="base" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    parts += [_text(across(v), HEIGHT - BOTTOM + 15, label(v)) for v in columns]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, x_label))
    places = {id(spot): (across(spot.at[0]), down(spot.at[1])) for spot in spots}
    for line in series:
        if len(line) > 1:
            path = " ".join("{:.1f},{:.1f}".format(*places[id(spot)]) for spot in line)
            parts.append(f'<polyline class="{escape(line[0].style)}" points="{path}"/>')
    for spot in spots:
        x, y = places[id(spot)]
        parts.append(
            f'<g class="spot {escape(spot.style)}"><title>{escape(spot.note)}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.2"/></g>'
        )
    joined = {id(spot) for line in series if len(line) > 1 for spot in line}
    parts += _names(spots, [places[id(s)] for s in spots], [id(s) in joined for s in spots])
    return "".join([*parts, "</svg>"])


def _axis(
    values: Sequence[float], start: float, end: float, count: int
) -> tuple[Callable[[float], float], list[float]]:
    """The place of a value, and the ticks."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= LOGARITHMIC:
        a, b = math.log10(low), math.log10(high)
        pad = 0.08 * (b - a)
        a, b = a - pad, b + pad
        decades = range(math.floor(a), math.ceil(b) + 1)
        steps = (1, 2, 5) if b - a < 1.6 else (1,)
        marks = [m * 10.0**d for d in decades for m in steps if a <= math.log10(m * 10.0**d) <= b]
        return lambda v: start + (end - start) * (math.log10(v) - a) / (b - a), marks
    pad = 0.1 * (high - low) or 0.5 * abs(high) or 1.0
    a, b = low - pad, high + pad
    a = max(a, 0.0) if low >= 0 else a
    return lambda v: start + (end - start) * (v - a) / (b - a), ticks(a, b, count)


# Where a name may stand beside its point: distances in x and y, and its anchor.
SIDES = (
    (8, 4, "start"), (-8, 4, "end"), (0, -9, "middle"), (0, 18, "middle"),
    (7, -7, "start"), (7, 15, "start"), (-7, -7, "end"), (-7, 15, "end"),
)  # fmt: skip


def _names(
    spots: Sequence[Spot], places: Sequence[Point], joined: Sequence[bool]
) -> Iterator[str]:
    """The name of each point where it covers no other; left out where there is no room."""
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    for spot, (x, y), on_line in zip(spots, places, joined, strict=True):
        name = spot.name if len(spot.name) <= LONGEST else f"{spot.name[: LONGEST - 1]}…"
        width = LETTER * len(name)
        for dx, dy, anchor in (*SIDES[2:], *SIDES[:2]) if on_line else SIDES:
            left = x + dx - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = (left, y + dy - LINE + 3, left + width, y + dy + 2)
            inside = box[0] >= LEFT - 10 and box[2] <= WIDTH and box[1] >= TOP + 5
            if inside and box[3] <= HEIGHT - BOTTOM and not any(_meet(box, o) for o in taken):
                taken.append(box)
                yield _text(x + dx, y + dy, name, anchor)
                break


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
