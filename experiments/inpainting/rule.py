"""When claim 7 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from experiments.lab.findings import Answer, Verdict

RIGHT = 0.6  # share of the new caption's attributes that redrawn pictures have to show
CHANCE = 0.1  # by which it has to beat the same pictures held against each other's captions
SEAM = 2.0  # grey levels by which the edge of the redrawn part may stand out more than before


class Shares(Protocol):
    """Shares of attributes that pictures show as captions say."""

    @property
    def right(self) -> float:
        """Of their own captions."""

    @property
    def chance(self) -> float:
        """Of each other's."""


@dataclass(frozen=True)
class Edges:
    """What happened outside the redrawn part and at its edge.

    Attributes:
        changed: values outside that are not as they were.
        seam: mean absolute difference of the pixels on both sides of the edge, in grey levels.
        seam_before: the same in the pictures as they were.
    """

    changed: int
    seam: float
    seam_before: float


def verdict(redrawn: Shares, edges: Edges) -> Verdict:
    """Whether only the masked part changed, follows the caption, and fits."""
    return Verdict(
        _answer(redrawn, edges),
        f"Outside the mask {edges.changed:,} values changed. Of the attributes in the new caption "
        f"the pictures show {redrawn.right:.0%}, held against each other's captions "
        f"{redrawn.chance:.0%}. Across the edge of the redrawn part neighbouring pixels differ by "
        f"{edges.seam:.1f} grey levels, in the pictures before by {edges.seam_before:.1f}.",
    )


def _answer(redrawn: Shares, edges: Edges) -> Answer:
    follows = redrawn.right >= RIGHT and redrawn.right >= redrawn.chance + CHANCE
    if edges.changed or not follows:
        return "not supported"
    return "supported" if edges.seam <= edges.seam_before + SEAM else "undecided"
