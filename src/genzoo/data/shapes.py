"""Drawn scenes of coloured shapes with full captions: any number of images, nothing to install."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from genzoo.core.errors import UsageError
from genzoo.core.noise import split_seed
from genzoo.data.raster import paint
from genzoo.data.scene import COLOURS, OPPOSITE, SHAPES, SIZES, Scene, Thing, arrange, invent
from genzoo.data.shape_score import score
from genzoo.data.source import Item, Pixels

HELD_OUT = "held_out"


class Shapes:
    """Scenes that depend on (seed, index) alone.

    Args:
        count: number of images.
        seed: of the scenes.
        held_out: combinations that training never sees, such as ``red circle``,
            ``small blue`` or ``circle above square``: their images form the split ``held_out``.

    Raises:
        UsageError: for a count below 1 or a combination that no scene can have.
    """

    name = "shapes"
    attribution: str | None = None
    label_names = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
    caption_parts = ("count", "colour", "shape", "size", "position")

    def __init__(self, *, count: int, seed: int, held_out: Sequence[str] = ()) -> None:
        if count < 1:
            raise UsageError(f"data.source.count={count} draws nothing", "give 1 or more")
        self.count = count
        self.seed = seed
        self.held_out = tuple(held_out)
        self._patterns = [parse(text) for text in held_out]

    def fingerprint(self) -> str:
        """The parameters that the images depend on; what is held out changes no picture."""
        return f"shapes-1 seed={self.seed} count={self.count}"

    def items(self) -> Sequence[Item]:
        """Every scene; the label is the colour and shape of its `Scene.main`."""
        return [self._item(i) for i in range(self.count)]

    def render(self, i: int, size: int) -> Pixels:
        """The i-th scene on white."""
        return paint(arrange(self._scene(i), self._rng(i, "arrange")), size)

    def score_caption(self, image: Pixels, attributes: Mapping[str, Any]) -> dict[str, bool]:
        """Which parts of its caption an image shows, of `caption_parts`."""
        return score(image, attributes)

    def _item(self, i: int) -> Item:
        scene = self._scene(i)
        held = any(matches(scene, pattern) for pattern in self._patterns)
        return Item(
            key=str(i),
            captions=(scene.caption,),
            group=scene.caption,  # the same caption is drawn almost alike
            label=self._labels[scene.main.kind],
            split=HELD_OUT if held else None,
            attributes=scene.attributes,
        )

    def _scene(self, i: int) -> Scene:
        return invent(self._rng(i, "invent"))

    def _rng(self, i: int, purpose: str) -> np.random.Generator:
        return np.random.default_rng(split_seed(self.seed, "shapes", purpose, i))

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.label_names)}


Pattern = tuple[frozenset[str], str | None, frozenset[str]]


def parse(text: str) -> Pattern:
    """The words of a combination: of one thing, or of two and their relation.

    Raises:
        UsageError: for a word that no caption contains, or two of a kind.
    """
    words, relation, second = text.lower(), None, ""
    for name in OPPOSITE:
        if f" {name} " in f" {words} ":
            words, _, second = f" {words} ".partition(f" {name} ")
            relation = name
    return _adjectives(words, text), relation, _adjectives(second, text)


def matches(scene: Scene, pattern: Pattern) -> bool:
    """Whether the scene shows the combination, whichever way round its caption says it."""
    first, relation, second = pattern
    if relation is None:
        return any(first <= _words(thing) for thing in scene.things)
    if scene.relation not in (relation, OPPOSITE[relation]):
        return False
    one, two = scene.things if scene.relation == relation else scene.things[::-1]
    return first <= _words(one) and second <= _words(two)


def _adjectives(words: str, text: str) -> frozenset[str]:
    known = [*SIZES, *COLOURS, *SHAPES]
    found = [word for word in words.split() if word not in ("a", "the")]
    for word in found:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            raise UsageError(
                f"data.source.held_out={text!r} contains {word!r}, which no caption does",
                f"did you mean {close[0]!r}?" if close else f"use the words {', '.join(known)}",
            )
    for kind in (SIZES, COLOURS, SHAPES):
        if len([word for word in found if word in kind]) > 1:
            raise UsageError(
                f"data.source.held_out={text!r} can never be seen: it names two of a kind",
                "name at most one size, one colour and one shape for each thing",
            )
    return frozenset(found)


def _words(thing: Thing) -> frozenset[str]:
    return frozenset((thing.size, thing.colour, thing.shape))
