"""Does an image show what its caption says? Judged from the pixels of a scene of shapes.

The image is divided into connected regions of one colour; each is compared with all shapes of
its own area and centre of mass; the regions are then matched with the things of the caption.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from genzoo.data.raster import ARM, coverage
from genzoo.data.scene import COLOURS, PLACES, RELATIONS, SHAPES, SIZES, Mark, Scene, Thing

COVERED = 0.5  # share of full colour from which a pixel belongs to a shape
SPECK = 0.35  # regions below this share of the smallest shape's area are noise
BETWEEN_SIZES = sum(SIZES.values()) / 2
BETWEEN_PLACES = 0.125  # half the way between two places
MOST = 6  # regions that are looked at; more are a wrong count in any case
# Area, and how far the centre of mass lies below the centre, of shapes of radius 1.
MOMENTS = {
    "circle": (math.pi, 0.0),
    "square": (4.0, 0.0),
    "triangle": (2.0, 1 / 3),
    "cross": (4 * (2 * ARM - ARM**2), 0.0),
}


@dataclass(frozen=True)
class Region:
    """A connected patch of one colour; lengths are shares of the image's side."""

    colour: str
    shape: str
    size: str
    x: float
    y: float
    area: float


def score(
    image: UInt8[np.ndarray, "h w 3"] | UInt8[np.ndarray, "3 h w"], attributes: Mapping[str, Any]
) -> dict[str, bool]:
    """Whether an image shows what the caption with these attributes says.

    Args:
        image: the image, 8 bit, on white; channels first or last.
        attributes: those of the data's item.

    Returns:
        For each of ``count``, ``colour``, ``shape``, ``size`` and, where the caption says one,
        ``position``, whether it is right. Colours and shapes must belong together: a blue circle
        above a red square is no red circle above a blue square. An image is right when all are.
    """
    scene = Scene.of(attributes)
    wanted = [thing for thing in scene.things for _ in range(thing.count)]
    found = regions(_channels_last(np.asarray(image)))
    verdicts = [_compare(scene, wanted, chosen) for chosen in _assignments(found, len(wanted))]
    best = max(verdicts, key=lambda verdict: sum(verdict.values()))
    return {"count": len(found) == len(wanted), **best}


def regions(image: UInt8[np.ndarray, "h w 3"]) -> list[Region]:
    """The coloured regions on white, largest first."""
    cover, colours = _classify(image)
    covered = cover >= COVERED
    numbers = _connect(np.where(covered, colours, -1))
    smallest = SPECK * 2 * min(SIZES.values()) ** 2 * covered.size  # a triangle's area
    found = []
    for number in np.unique(numbers[covered]).tolist():
        mask = numbers == number
        if mask.sum() >= smallest:
            # Its soft edge, two pixels wide in a blurred image, but no other region.
            free = _widened(_widened(mask)) & (mask | ~covered)
            soft = np.where(free, cover, 0.0)
            found.append(_describe(soft, mask, list(COLOURS)[int(colours[mask][0])]))
    return sorted(found, key=lambda region: -region.area)


def _channels_last(image: UInt8[np.ndarray, ...]) -> UInt8[np.ndarray, "h w 3"]:
    return image.transpose(1, 2, 0) if image.shape[0] == 3 and image.shape[-1] != 3 else image


def _classify(
    image: UInt8[np.ndarray, "h w 3"],
) -> tuple[Float[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """How far each pixel is covered, 0 to about 1, and the number of the colour that covers it.

    A pixel on an edge is white + cover * (colour - white): the direction from white tells the
    colour whatever the cover is. The neighbours have a say in it, against noise.
    """
    ink = 255.0 - image.astype(np.float64)
    pure = 255.0 - np.array(list(COLOURS.values()), dtype=np.float64)
    length = np.linalg.norm(pure, axis=1)
    directions = pure / length[:, None]
    colours = (_blurred(ink) @ directions.T).argmax(axis=-1)
    cover = (ink * directions[colours]).sum(axis=-1) / length[colours]
    return cover, colours


def _blurred(ink: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """The mean over 3 x 3 pixels."""
    rows: np.ndarray = np.pad(ink, ((1, 1), (1, 1), (0, 0)))
    rows = rows[:-2] + rows[1:-1] + rows[2:]
    both: np.ndarray = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return both / 9


def _connect(classes: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """One number for each set of neighbouring pixels of a class: the smallest one spreads.

    Class -1 is background, which is left as it is.
    """
    numbers = np.arange(classes.size).reshape(classes.shape)
    down = (classes[1:] == classes[:-1]) & (classes[1:] >= 0)
    right = (classes[:, 1:] == classes[:, :-1]) & (classes[:, 1:] >= 0)
    while True:
        before = numbers.copy()
        for view, equal in ((numbers, down), (numbers.T, right.T)):
            np.minimum(view[1:], view[:-1], out=view[1:], where=equal)
            np.minimum(view[1:], view[:-1], out=view[:-1], where=equal)
        if (numbers == before).all():
            return numbers


def _widened(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    wide = mask.copy()
    for rows, others in ((wide, mask), (wide.T, mask.T)):
        rows[1:] |= others[:-1]
        rows[:-1] |= others[1:]
    return wide


def _describe(
    cover: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], colour: str
) -> Region:
    """The shape that covers the region best, among all of its area and centre of mass."""
    cover = np.clip(cover / np.median(cover[mask]), 0, 1)
    fits = [_fit(cover, shape) for shape in SHAPES]
    _, shape, radius, x, y = max(fits)
    size = "large" if radius > BETWEEN_SIZES else "small"
    return Region(colour, shape, size, x, y, float(cover.mean()))


def _fit(cover: Float[np.ndarray, "h w"], shape: str) -> tuple[float, str, float, float, float]:
    """Overlap (intersection over union), shape, radius and centre, by matching moments."""
    side = cover.shape[0]
    at = (np.arange(side) + 0.5) / side
    total, (area, sink) = cover.sum(), MOMENTS[shape]
    radius = float(np.sqrt(total / area)) / side
    x = float(cover.sum(axis=0) @ at / total)
    y = float(cover.sum(axis=1) @ at / total) - sink * radius
    ideal = coverage(Mark(shape, x, y, radius, (0, 0, 0)), side)
    overlap = max(_overlap(cover, ideal), _overlap(cover, _softened(ideal)))
    return overlap, shape, radius, x, y


def _overlap(one: Float[np.ndarray, "h w"], two: Float[np.ndarray, "h w"]) -> float:
    return float(np.minimum(one, two).sum() / np.maximum(one, two).sum())


def _softened(cover: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Each pixel mixed with its neighbours by weights 1, 2, 1, as a blurred image shows it."""
    rows: np.ndarray = np.pad(cover, 1)
    rows = rows[:-2] + 2 * rows[1:-1] + rows[2:]
    both: np.ndarray = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return both / 16


def _assignments(found: Sequence[Region], count: int) -> list[tuple[Region | None, ...]]:
    """Every way to give each of `count` shapes a region of its own, or none."""
    candidates: list[Region | None] = list(found[:MOST])
    candidates += [None] * max(0, count - len(candidates))
    return list(permutations(candidates, count))


def _compare(
    scene: Scene, wanted: Sequence[Thing], chosen: Sequence[Region | None]
) -> dict[str, bool]:
    pairs = list(zip(wanted, chosen, strict=True))
    verdict = {
        name: all(r is not None and getattr(r, name) == getattr(thing, name) for thing, r in pairs)
        for name in ("colour", "shape", "size")
    }
    if scene.place is not None:
        verdict["position"] = _near(chosen[0], PLACES[scene.place])
    if scene.relation is not None:
        verdict["position"] = _related(chosen[0], chosen[1], RELATIONS[scene.relation])
    return verdict


def _near(region: Region | None, place: tuple[float, float]) -> bool:
    if region is None:
        return False
    return max(abs(region.x - place[0]), abs(region.y - place[1])) <= BETWEEN_PLACES


def _related(one: Region | None, two: Region | None, direction: tuple[int, int]) -> bool:
    """Whether `one` lies in this direction from `two`, within 45 degrees."""
    if one is None or two is None:
        return False
    step = np.array([one.x - two.x, one.y - two.y])
    along = float(step @ np.array(direction))
    return along > 0 and along >= float(abs(step).min()) and along == float(abs(step).max())
