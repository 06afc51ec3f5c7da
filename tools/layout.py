"""A layered layout: arrows run down and cross little (Sugiyama, Tagawa and Toda 1981)."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

SWEEPS = 24
Arrow = tuple[str, str]


@dataclass(frozen=True)
class Layout:
    """Places in units of a box, x to the right and y downwards.

    Attributes:
        place: of each room.
        path: the points of each arrow between its ends: one in every level that it passes.
    """

    place: Mapping[str, tuple[float, int]]
    path: Mapping[Arrow, tuple[tuple[float, int], ...]]


def layout(arrows: Mapping[str, frozenset[str]], *, gap: float = 0.35) -> Layout:
    """Rooms as high as their importers allow; long arrows get a place in each level.

    Args:
        arrows: without circles.
        gap: width of the lane that a passing arrow needs, in boxes.
    """
    level = levels(arrows)
    above: dict[str, list[str]] = {room: [] for room in arrows}
    below: dict[str, list[str]] = {room: [] for room in arrows}
    chains: dict[Arrow, list[str]] = {}
    for room in sorted(arrows):
        for other in sorted(arrows[room]):
            passing = [f"{room}>{other}@{k}" for k in range(level[room] + 1, level[other])]
            for k, name in enumerate(passing):
                level[name] = level[room] + 1 + k
                above[name], below[name] = [], []
            chain = [room, *passing, other]
            for one, two in itertools.pairwise(chain):
                below[one].append(two)
                above[two].append(one)
            chains[room, other] = passing
    width = {name: 1.0 if name in arrows else gap for name in level}
    x = _places(level, above, below, width)
    points = {name: (x[name], level[name]) for name in level}
    return Layout(
        {room: points[room] for room in arrows},
        {arrow: tuple(points[name] for name in passing) for arrow, passing in chains.items()},
    )


def levels(arrows: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """One below the lowest room that imports it; 0 where none does."""
    importers = {room: [r for r in arrows if room in arrows[r]] for room in arrows}
    found: dict[str, int] = {}

    def level(room: str) -> int:
        if room not in found:
            found[room] = 1 + max(map(level, importers[room]), default=-1)
        return found[room]

    return {room: level(room) for room in sorted(arrows)}


def _places(
    level: Mapping[str, int],
    above: Mapping[str, list[str]],
    below: Mapping[str, list[str]],
    width: Mapping[str, float],
) -> dict[str, float]:
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for name in sorted(level):
        rows[level[name]].append(name)
    x = {name: float(k) for row in rows for k, name in enumerate(row)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            wish = {n: _middle(n, above if down else below, x) for n in row}
            row.sort(key=lambda name: (wish[name], name))
            _spread(row, wish, width, x)
    for row in rows * SWEEPS:  # the order stays, and paths become straighter
        wish = {n: statistics.fmean([_middle(n, above, x), _middle(n, below, x)]) for n in row}
        _spread(row, wish, width, x)
    return x


def _middle(name: str, near: Mapping[str, list[str]], x: Mapping[str, float]) -> float:
    return statistics.fmean(x[other] for other in near[name]) if near[name] else x[name]


def _spread(
    row: list[str], wish: Mapping[str, float], width: Mapping[str, float], x: dict[str, float]
) -> None:
    """Each as near to its wish as its neighbours allow, with the row's mean unchanged."""
    at = -1e9
    for k, name in enumerate(row):
        least = at + (width[row[k - 1]] + width[name]) / 2 if k else at
        at = x[name] = max(wish[name], least)
    shift = statistics.fmean(wish[n] for n in row) - statistics.fmean(x[n] for n in row)
    for name in row:
        x[name] = round(x[name] + shift, 4)
