"""When claim 8 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.lab.findings import Answer, Verdict

LITTLE = 0.10  # by which the Fréchet distance may lie above GLIDE's and fidelity still holds
MUCH = 0.25  # above which it is lost

Fidelity = Literal["holds", "open", "lost"]
Diversity = Literal["bought", "open", "not bought"]


@dataclass(frozen=True)
class Point:
    """One model at one scale, a value a seed.

    Attributes:
        distance: Fréchet distances.
        recall: shares of real images that are near a sample.
        spread: of one caption's samples, as a share of that of real images.
    """

    distance: Sequence[float]
    recall: Sequence[float]
    spread: Sequence[float]


@dataclass(frozen=True)
class Pair:
    """Both models at one scale."""

    scale: float
    glide: Point
    unclip: Point

    @property
    def dearer(self) -> float:
        """By which share unCLIP's Fréchet distance lies above GLIDE's."""
        return statistics.fmean(self.unclip.distance) / statistics.fmean(self.glide.distance) - 1

    @property
    def fidelity(self) -> Fidelity:
        """Whether it costs little."""
        if self.dearer <= LITTLE:
            return "holds"
        return "lost" if self.dearer > MUCH else "open"

    @property
    def diversity(self) -> Diversity:
        """Whether it buys any."""
        gains = [
            [b - a for a, b in zip(one, other, strict=True)]
            for one, other in (
                (self.glide.recall, self.unclip.recall),
                (self.glide.spread, self.unclip.spread),
            )
        ]
        if all(gain > 0 for own in gains for gain in own):
            return "bought"
        return "not bought" if all(statistics.fmean(own) <= 0 for own in gains) else "open"


def verdict(pairs: Sequence[Pair]) -> Verdict:
    """Over the scales that guide.

    Args:
        pairs: at every scale, those without guidance included.
    """
    guided = [pair for pair in pairs if pair.scale > 1]
    each = "; ".join(
        f"at {pair.scale:g} the Fréchet distance is {pair.dearer:+.0%} of GLIDE's (fidelity "
        f"{pair.fidelity}), recall {statistics.fmean(pair.unclip.recall):.2f} against "
        f"{statistics.fmean(pair.glide.recall):.2f}, spread "
        f"{statistics.fmean(pair.unclip.spread):.2f} against "
        f"{statistics.fmean(pair.glide.spread):.2f} (diversity {pair.diversity})"
        for pair in guided
    )
    return Verdict(_answer(guided), f"By the scale of guidance: {each}.")


def _answer(guided: Sequence[Pair]) -> Answer:
    if all(pair.fidelity == "holds" and pair.diversity == "bought" for pair in guided):
        return "supported"
    fails = [pair.fidelity == "lost" or pair.diversity == "not bought" for pair in guided]
    return "not supported" if all(fails) else "undecided"
