"""The diagram of the rooms as SVG: the same text for the same imports."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from html import escape

from tools.layout import layout

WIDTH, HEIGHT = 190, 62  # of a box
ACROSS, DOWN = 208, 94  # from the middle of one box to that of the next
MARGIN, HEAD = 14, 62
LETTERS = 34  # on a line of a box, of which there are at most `LINES`
LINES = 3
RUN, SCIENCE = ("#e3edf7", "#41719c"), ("#fdeeda", "#c77f1f")  # inside and edge
LEGEND = (
    (SCIENCE, "science: plain torch, no framework"),
    (RUN, "parts of a run, and the rooms below them"),
)


def svg(
    arrows: Mapping[str, frozenset[str]],
    *,
    purposes: Mapping[str, str],
    science: Iterable[str],
    start: str,
) -> str:
    """A box for each room, arrows from what imports down to what is imported.

    Args:
        arrows: without circles, and without implied ones.
        purposes: what each room is for.
        science: rooms in another colour.
        start: the text above the first room.
    """
    where = layout(arrows)
    left = min(x for x, _ in where.place.values())
    right = max(x for x, _ in where.place.values())
    low = max(y for _, y in where.place.values())
    width = round((right - left) * ACROSS + WIDTH + 2 * MARGIN)
    height = HEAD + low * DOWN + HEIGHT + 44

    def point(place: tuple[float, int]) -> tuple[float, float]:
        return MARGIN + WIDTH / 2 + (place[0] - left) * ACROSS, HEAD + place[1] * DOWN

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0.8L8 4L0 7.2z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for (room, other), path in sorted(where.path.items()):
        parts.append(_arrow([point(p) for p in (where.place[room], *path, where.place[other])]))
    known = frozenset(science)
    for room, place in sorted(where.place.items()):
        parts += _box(room, purposes[room], point(place), SCIENCE if room in known else RUN)
    first = min(where.place.values(), key=lambda place: (place[1], place[0]))
    x, y = point(first)
    parts.append(f'<text x="{x:.1f}" y="{y - 44:.1f}" font-size="13" text-anchor="middle" '
                 f'font-weight="bold" fill="#222">{escape(start)}</text>')  # fmt: skip
    parts.append(_line(f"M{x:.1f} {y - 38:.1f}V{y - 2:.1f}"))
    for k, ((inside, edge), words) in enumerate(LEGEND):
        at = height - 26 + 17 * (k - 1) + 4
        parts.append(f'<rect x="{MARGIN}" y="{at}" width="18" height="12" rx="3" '
                     f'fill="{inside}" stroke="{edge}"/>')  # fmt: skip
        parts.append(f'<text x="{MARGIN + 25}" y="{at + 10}" font-size="11" fill="#444">'
                     f"{escape(words)}</text>")  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


def _box(name: str, words: str, at: tuple[float, float], colour: tuple[str, str]) -> list[str]:
    x, y = at
    lines = textwrap.wrap(words.replace("`", ""), LETTERS, max_lines=LINES, placeholder=" …")
    top = y + 6 * (LINES - len(lines))  # the text in the middle
    text = [
        f'<rect x="{x - WIDTH / 2:.1f}" y="{y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="7" '
        f'fill="{colour[0]}" stroke="{colour[1]}" stroke-width="1.3"/>',
        f'<text x="{x:.1f}" y="{top + 17:.1f}" font-size="13" font-weight="bold" '
        f'text-anchor="middle" fill="#222">{escape(name)}</text>',
    ]
    text += [
        f'<text x="{x:.1f}" y="{top + 31 + 12 * k:.1f}" font-size="10" text-anchor="middle" '
        f'fill="#555">{escape(line)}</text>'
        for k, line in enumerate(lines)
    ]
    return text


def _arrow(points: list[tuple[float, float]]) -> str:
    """Down from box to box; straight through the levels that it passes, curved between them."""
    (x, y), *rest = points
    y += HEIGHT
    path = [f"M{x:.1f} {y:.1f}"]
    for k, (to, top) in enumerate(rest):
        end = top - 2 if k == len(rest) - 1 else top
        middle = (y + end) / 2
        path.append(f"C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {end:.1f}")
        x, y = to, end
        if k < len(rest) - 1:
            y = top + HEIGHT
            path.append(f"V{y:.1f}")
    return _line("".join(path))


def _line(path: str) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>'
    )
