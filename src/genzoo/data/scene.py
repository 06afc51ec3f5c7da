"""Scenes of coloured shapes: what is in them, how a caption says it, where everything lies.

Lengths are shares of the image's side, x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (30, 165, 50),
    "blue": (40, 80, 220),
    "yellow": (240, 200, 20),
    "purple": (150, 50, 180),
    "black": (30, 30, 30),
}
SIZES = {"small": 0.115, "large": 0.18}  # half of a shape's width and height
NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}
# Names of places with the centre that they mean.
PLACES = {
    "in the centre": (0.5, 0.5),
    "at the top": (0.5, 0.25),
    "at the bottom": (0.5, 0.75),
    "on the left": (0.25, 0.5),
    "on the right": (0.75, 0.5),
    "in the top left corner": (0.25, 0.25),
    "in the top right corner": (0.75, 0.25),
    "in the bottom left corner": (0.25, 0.75),
    "in the bottom right corner": (0.75, 0.75),
}
# Names of relations with the direction from the second thing to the first.
RELATIONS = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
OPPOSITE = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}
QUARTERS = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
JITTER = 0.02  # of every centre; shapes then stay 0.06 apart
SHADE = 12  # by which each channel of a colour may differ from its name's


@dataclass(frozen=True)
class Thing:
    """Some shapes of one kind.

    Attributes:
        count: how many, 1 to 4.
        size: a key of `SIZES`.
        colour: a key of `COLOURS`.
        shape: one of `SHAPES`.
    """

    count: int
    size: str
    colour: str
    shape: str

    @property
    def kind(self) -> str:
        """Colour and shape, such as ``red circle``."""
        return f"{self.colour} {self.shape}"

    def __str__(self) -> str:
        plural = "" if self.count == 1 else "es" if self.shape.endswith("s") else "s"
        return f"{NUMBERS[self.count]} {self.size} {self.kind}{plural}"


@dataclass(frozen=True)
class Scene:
    """What a caption says: one thing somewhere, several of a kind, or two in a relation.

    Attributes:
        things: one, or two that differ in colour or shape.
        place: a key of `PLACES`, for one thing that is there once.
        relation: a key of `RELATIONS`: the first thing's place seen from the second.
    """

    things: tuple[Thing, ...]
    place: str | None = None
    relation: str | None = None

    @property
    def caption(self) -> str:
        """The scene in words, everything in it named."""
        words = [str(self.things[0]), self.place, self.relation, *map(str, self.things[1:])]
        return " ".join(word for word in words if word)

    @property
    def attributes(self) -> dict[str, Any]:
        """The scene as plain data."""
        return {
            "things": [asdict(thing) for thing in self.things],
            "place": self.place,
            "relation": self.relation,
        }

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Scene:
        """The scene that `attributes` came from."""
        things = tuple(Thing(**thing) for thing in attributes["things"])
        return cls(things, attributes["place"], attributes["relation"])

    @property
    def main(self) -> Thing:
        """The only kind of thing, or the upper or left one of two: visible without a caption."""
        return self.things[1 if self.relation in ("below", "right of") else 0]


@dataclass(frozen=True)
class Mark:
    """One shape as it is drawn.

    Attributes:
        shape: one of `SHAPES`.
        x: of the centre.
        y: of the centre.
        radius: half of the width and height.
        colour: red, green and blue, 0 to 255.
    """

    shape: str
    x: float
    y: float
    radius: float
    colour: tuple[int, int, int]


def invent(rng: np.random.Generator) -> Scene:
    """A random scene: a third each of one thing, several of a kind, and two in a relation."""
    form = rng.integers(3)
    if form == 0:
        return Scene((_thing(rng, 1),), place=_pick(rng, tuple(PLACES)))
    if form == 1:
        return Scene((_thing(rng, int(rng.integers(2, 5))),))
    first = second = _thing(rng, 1)
    while second.kind == first.kind:
        second = _thing(rng, 1)
    return Scene((first, second), relation=_pick(rng, tuple(RELATIONS)))


def arrange(scene: Scene, rng: np.random.Generator) -> list[Mark]:
    """The scene's shapes with their places and shades; no two of them touch."""
    things = [thing for thing in scene.things for _ in range(thing.count)]
    marks = []
    for thing, (x, y) in zip(things, _centres(scene, rng), strict=True):
        dx, dy = rng.uniform(-JITTER, JITTER, 2)
        shade = rng.integers(-SHADE, SHADE + 1, 3)
        r, g, b = np.clip(COLOURS[thing.colour] + shade, 0, 255).tolist()
        marks.append(Mark(thing.shape, x + dx, y + dy, SIZES[thing.size], (r, g, b)))
    return marks


def _centres(scene: Scene, rng: np.random.Generator) -> Sequence[tuple[float, float]]:
    if scene.relation is not None:
        dx, dy = RELATIONS[scene.relation]
        along = rng.uniform(-0.1, 0.1)  # where the pair lies across its direction
        x, y = (0.5 + along * abs(dy), 0.5 + along * abs(dx))
        return ((x + dx / 4, y + dy / 4), (x - dx / 4, y - dy / 4))
    if scene.place is not None:
        return (PLACES[scene.place],)
    order = rng.permutation(len(QUARTERS))[: scene.things[0].count]
    return [QUARTERS[k] for k in order.tolist()]


def _thing(rng: np.random.Generator, count: int) -> Thing:
    return Thing(count, _pick(rng, tuple(SIZES)), _pick(rng, tuple(COLOURS)), _pick(rng, SHAPES))


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]
