"""A row of a metric's panel as SVG: values on a line, their interval, and real images as marks.

Places are percentages, so that a lane is as wide as its cell, at any width of the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

EDGE = 4.0  # per cent left free on either side


@dataclass(frozen=True)
class Scale:
    """From values to places in per cent.

    Attributes:
        low: the value at the left end.
        high: that at the right end; below `low` where less is better, so that better is right.
    """

    low: float
    high: float

    def place(self, value: float) -> float:
        """Per cent of the width, within the lane."""
        if self.high == self.low:
            return 50.0
        share = (value - self.low) / (self.high - self.low)
        return EDGE + (100 - 2 * EDGE) * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class Lane:
    """What one row shows.

    Attributes:
        name: whose it is; shown as a tooltip.
        style: the class of its colour.
        values: a dot each; of several the mean is a bar.
        interval: its ends, or None.
    """

    name: str
    style: str
    values: Sequence[float]
    interval: tuple[float, float] | None = None


def scale_of(lanes: Sequence[Lane], *, better: str) -> Scale | None:
    """A scale that holds all values, and intervals as far as they do not squeeze the values."""
    values = [v for lane in lanes for v in lane.values if math.isfinite(v)]
    if not values:
        return None
    ends = [v for lane in lanes for v in lane.interval or () if math.isfinite(v)]
    low, high = min(values), max(values)
    room = (high - low) / 2 if high > low else math.inf
    low = min([low, *(max(end, low - room) for end in ends)])
    high = max([high, *(min(end, high + room) for end in ends)])
    return Scale(high, low) if better == "lower" else Scale(low, high)


def lane(row: Lane, scale: Scale, *, marks: Sequence[tuple[str, float]]) -> str:
    """An SVG element, for a cell that it fills.

    Args:
        row: what to show.
        scale: of all rows of the panel.
        marks: (label, value) of real images; a thin line each.
    """
    shapes = [f'<line class="rule" x1="{EDGE}%" x2="{100 - EDGE}%" y1="50%" y2="50%"/>']
    for k, (label, value) in enumerate(marks):
        x = f"{scale.place(value):.2f}%"
        shapes.append(
            f'<line class="real real{k % 2}" x1="{x}" x2="{x}" y1="0" y2="100%">'
            f"<title>{escape(label)}</title></line>"
        )
    shapes.append(f'<g class="{escape(row.style)}"><title>{escape(row.name)}</title>')
    if row.interval is not None:
        left, right = (f"{scale.place(end):.2f}%" for end in row.interval)
        shapes.append(f'<line class="whisker" x1="{left}" x2="{right}" y1="50%" y2="50%"/>')
    values = [value for value in row.values if math.isfinite(value)]
    shapes += [f'<circle class="dot" cx="{scale.place(v):.2f}%" cy="50%" r="4"/>' for v in values]
    if len(values) > 1:
        x = f"{scale.place(math.fsum(values) / len(values)):.2f}%"
        shapes.append(f'<line class="mean" x1="{x}" x2="{x}" y1="20%" y2="80%"/>')
    return f'<svg class="lane" aria-hidden="true">{"".join(shapes)}</g></svg>'
