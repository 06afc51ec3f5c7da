"""Small SVG charts, written by hand: a few kilobytes each, coloured by the page's own style."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

Point = tuple[float, float]

WIDTH, HEIGHT = 460, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 8, 36
MARKED = 24  # a line of at most so many points shows each of them


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: shown as a tooltip.
        style: classes of the page's style sheet: ``train`` or ``validation``, and a hue.
        points: (x, y), finite, x ascending.
    """

    name: str
    style: str
    points: Sequence[Point]


def chart(lines: Sequence[Line], *, x_label: str, title: str, right: float | None = None) -> str:
    """An SVG element with axes, ticks and the curves; empty if there are no points.

    The vertical axis is logarithmic where all values are positive and span a factor of eight or
    more. On a linear one the topmost 3 % of the values may lie above the frame (their lines are
    cut off there), so that the first steps of a training do not flatten the rest.

    Args:
        lines: the curves.
        x_label: of the horizontal axis.
        title: a description of the chart, for screen readers.
        right: end of the horizontal axis; None for that of the curves.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    right = right or max(x for line in lines for x, _ in line.points) or 1.0
    down, marks = _vertical(sorted(y for line in lines for _, y in line.points))

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / right

    parts = [_open(WIDTH, HEIGHT, title)]
    for value in marks:
        y = down(value)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 7, y + 3.5, label(value), anchor="end"))
    parts.append(f'<path class="base" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    for value in ticks(0, right):
        parts.append(_text(across(value), HEIGHT - BOTTOM + 15, label(value)))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 5, x_label))
    box = f"{TOP - 3} {WIDTH} {HEIGHT - TOP - BOTTOM + 6}"  # an inner SVG cuts off what is outside
    top, width, height = box.split()
    parts.append(f'<svg y="{top}" width="{width}" height="{height}" viewBox="0 {box}">')
    for line in sorted(lines, key=lambda line: "validation" in line.style):
        parts.append(_curve(line, [(across(x), down(y)) for x, y in line.points]))
    return "".join([*parts, "</svg></svg>"])


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers in [low, high]."""
    raw = (high - low) / count
    if not raw > 0:
        return [low]
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= 0.75 * raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def label(value: float) -> str:
    """A tick's text: 25k, 0.05."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.0e}"


def thinned(points: Sequence[Point], most: int = 240) -> list[Point]:
    """At most `most` points: means of equally long stretches, with both ends kept."""
    if len(points) <= most:
        return list(points)
    inner, count = points[1:-1], most - 2
    edges = [round(k * len(inner) / count) for k in range(count + 1)]
    stretches = [inner[a:b] for a, b in pairwise(edges)]
    means = [
        (math.fsum(x for x, _ in s) / len(s), math.fsum(y for _, y in s) / len(s))
        for s in stretches
    ]
    return [points[0], *means, points[-1]]


def _vertical(
    ys: Sequence[float],
) -> tuple[Callable[[float], float], list[float]]:
    """The place of a value, and the ticks."""
    room = HEIGHT - TOP - BOTTOM
    if ys[0] > 0 and ys[-1] / ys[0] >= 8:
        low, high = math.log10(ys[0]), math.log10(ys[-1])
        pad = 0.05 * (high - low)
        low, high = low - pad, high + pad
        marks = [v for v in _decades(low, high) if low <= math.log10(v) <= high]
        return lambda y: TOP + room * (high - math.log10(y)) / (high - low), marks
    low, high = ys[0], ys[math.ceil(0.97 * (len(ys) - 1))]
    pad = 0.07 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - pad, high + pad
    return lambda y: TOP + room * (high - y) / (high - low), ticks(low, high, 5)


def _decades(low: float, high: float) -> list[float]:
    exponents = range(math.floor(low), math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 2.2 else (1,)
    every = max(1, round((high - low) / 5))
    return [m * 10.0**e for e in exponents if e % every == 0 for m in steps]


def _curve(line: Line, places: Sequence[Point]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    shapes = f'<polyline points="{path}"/>' if len(places) > 1 else ""
    if len(places) <= MARKED:
        shapes += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in places)
    return _group(line.style, line.name, shapes)


def _group(style: str, name: str, shapes: str) -> str:
    return f'<g class="{escape(style)}"><title>{escape(name)}</title>{shapes}</g>'


def _open(width: int, height: int, title: str, *, style: str = "chart") -> str:
    name = escape(title)
    return f'<svg viewBox="0 0 {width} {height}" role="img" class="{style}" aria-label="{name}">'


def _text(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
