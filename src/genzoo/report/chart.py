"""Learning curves as small SVG charts that take their colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: for the reader's pointer.
        kind: the class that the page's style colours: ``train`` or ``validation``.
        points: (x, y), finite.
    """

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


def chart(lines: Sequence[Line], *, x_label: str, title: str) -> str:
    """An SVG element with axes, ticks and the curves; empty where there is nothing to draw.

    The vertical axis ends at the 95th percentile of the values, so that the first steps of a
    training do not flatten the rest.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = sorted(y for line in lines for _, y in line.points)
    low, high = ys[0], ys[min(len(ys) - 1, math.ceil(0.95 * (len(ys) - 1)))]
    margin = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin, high + margin
    right = max(xs) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / right
        down = TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low)
        return across, max(down, TOP)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="chart">',
        f"<title>{escape(title)}</title>",
    ]
    for value in ticks(low, high):
        _, y = place(0, value)
        parts.append(
            f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" '
            f'text-anchor="end">{label(value)}</text>'
        )
    for value in ticks(0, right):
        x, _ = place(value, low)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" '
            f'text-anchor="middle">{label(value)}</text>'
        )
    for line in lines:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        parts.append(
            f'<polyline class="{line.kind}" points="{path}"><title>{escape(line.name)}</title>'
            "</polyline>"
        )
        if line.kind == "validation":
            parts += [
                f'<circle class="{line.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
                for x, y in (place(*point) for point in line.points)
            ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers in [low, high]."""
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def label(value: float) -> str:
    """A tick's text: 25k, 0.05."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e3:
        return f"{value / 1e3:g}k"
    return f"{value:.3g}"
