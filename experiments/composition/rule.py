"""When claim 6 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

from typing import Protocol

from experiments.lab.findings import Answer, Verdict

SEEN = 0.8  # share of attributes that a model has to get right where it saw the combination
UNSEEN = 0.6  # and where it did not
CHANCE = 0.1  # by which it has to exceed the score of the same images with shuffled captions


class Shares(Protocol):
    """Shares of attributes in which images agree with captions."""

    @property
    def right(self) -> float:
        """Of their own captions."""

    @property
    def chance(self) -> float:
        """Of each other's."""


def verdict(seen: Shares, unseen: Shares) -> Verdict:
    """Whether attributes that were learned separately are combined.

    Args:
        seen: for captions whose combinations training contained.
        unseen: for captions with one that it did not.
    """
    return Verdict(
        _answer(seen, unseen),
        f"Of the attributes in a caption (shape, colour, size, position) the samples show "
        f"{unseen.right:.0%} where the combination was held out and {seen.right:.0%} where it was "
        f"not; with shuffled captions {unseen.chance:.0%} and {seen.chance:.0%}.",
    )


def _answer(seen: Shares, unseen: Shares) -> Answer:
    if seen.right < SEEN:  # a model that has not learned the attributes cannot combine them
        return "undecided"
    composed = unseen.right >= UNSEEN and unseen.right >= unseen.chance + CHANCE
    return "supported" if composed else "not supported"
