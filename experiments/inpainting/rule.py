"""When claim 7 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from experiments.lab.findings import Answer, Verdict

RIGHT = 0.6  # share of the new caption's attributes that inpainted images have to show
CHANCE = 0.1  # by which it has to exceed the score of the same images with shuffled captions
SEAM = 2.0  # grey levels by which the edge of the mask may stand out more than before


class Shares(Protocol):
    """Shares of attributes in which images agree with captions."""

    @property
    def right(self) -> float:
        """Of their own captions."""

    @property
    def chance(self) -> float:
        """Of each other's."""


@dataclass(frozen=True)
class Edges:
    """Changes outside the mask and at its edge.

    Attributes:
        changed: number of changed values outside.
        seam: mean absolute difference of the pixels on both sides of the edge, in grey levels.
        seam_before: the same in the original images.
    """

    changed: int
    seam: float
    seam_before: float


def verdict(inpainted: Shares, edges: Edges) -> Verdict:
    """Whether only the masked part changed, follows the caption, and fits."""
    return Verdict(
        _answer(inpainted, edges),
        f"Outside the mask {edges.changed:,} values changed. Of the attributes in the new caption "
        f"the images show {inpainted.right:.0%}, with shuffled captions "
        f"{inpainted.chance:.0%}. Across the edge of the mask neighbouring pixels differ by "
        f"{edges.seam:.1f} grey levels, in the original images by {edges.seam_before:.1f}.",
    )


def _answer(inpainted: Shares, edges: Edges) -> Answer:
    follows = inpainted.right >= RIGHT and inpainted.right >= inpainted.chance + CHANCE
    if edges.changed or not follows:
        return "not supported"
    return "supported" if edges.seam <= edges.seam_before + SEAM else "undecided"
