"""When claim 1 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.lab.findings import Answer, Verdict

SHARE = 0.05  # of the balanced distance: smaller differences count as none
DEVIATIONS = 2.0  # over seeds of the balanced game, below which they count as none

Side = Literal["worse", "same", "better"]


@dataclass(frozen=True)
class Balanced:
    """The balanced game: a Fréchet distance a seed, None where training broke down.

    Attributes:
        first: where it was measured first.
        last: at the end.
    """

    first: Sequence[float | None]
    last: Sequence[float | None]

    @property
    def broken(self) -> bool:
        """Whether any seed broke down."""
        return any(value is None for value in (*self.first, *self.last))

    @property
    def mean(self) -> float:
        """Over seeds, at the end."""
        return statistics.fmean(value for value in self.last if value is not None)

    @property
    def margin(self) -> float:
        """Differences up to this one count as none."""
        values = [value for value in self.last if value is not None]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return max(DEVIATIONS * spread, SHARE * self.mean)

    @property
    def learned(self) -> bool:
        """Whether it got clearly better between its first and last measurement, or had one."""
        if self.broken:
            return False
        before = statistics.fmean(value for value in self.first if value is not None)
        return self.first == self.last or self.mean < before - self.margin


def side(distance: float | None, balanced: Balanced) -> Side:
    """How an uneven game did; one that broke down did worse."""
    if distance is None or distance > balanced.mean + balanced.margin:
        return "worse"
    return "better" if distance < balanced.mean - balanced.margin else "same"


def axis(weak: Side, strong: Side) -> Answer:
    """One way of being stronger: balance is best if both extremes are worse."""
    if "better" in (weak, strong) or (weak, strong) == ("same", "same"):
        return "not supported"
    return "supported" if (weak, strong) == ("worse", "worse") else "undecided"


def game(balanced: Balanced, axes: Mapping[str, tuple[Side, Side]]) -> Answer:
    """One game: most axes decide, if the balanced one learns and no majority says otherwise."""
    if not balanced.learned:
        return "undecided"
    answers = [axis(*sides) for sides in axes.values()]
    for answer in ("supported", "not supported"):
        if 2 * answers.count(answer) > len(answers):
            return answer
    return "undecided"


def verdict(
    games: Mapping[str, Balanced], sides: Mapping[str, Mapping[str, tuple[Side, Side]]]
) -> Verdict:
    """All games: their common answer, or undecided where it depends on the game."""
    answers = {name: game(balanced, sides[name]) for name, balanced in games.items()}
    first, *others = answers.values()
    answer = first if all(other == first for other in others) else "undecided"
    words = [_words(name, games[name], sides[name], answers[name]) for name in games]
    if len(set(answers.values())) > 1:
        words.append("The answer depends on the game.")
    return Verdict(answer, " ".join(words))


def _words(
    name: str, balanced: Balanced, sides: Mapping[str, tuple[Side, Side]], answer: Answer
) -> str:
    if balanced.broken:
        return f"In the {name} game the claim is {answer}: it broke down even when balanced."
    if not balanced.learned:
        return (
            f"In the {name} game the claim is {answer}: even the balanced one did not get clearly "
            f"better between its first and its last measurement (Fréchet distance "
            f"{balanced.mean:.1f} at the end)."
        )
    each = "; ".join(
        f"{axis_name}: {weak} with a much weaker discriminator, {strong} with a much stronger one"
        for axis_name, (weak, strong) in sides.items()
    )
    return (
        f"In the {name} game the claim is {answer}: against a Fréchet distance of "
        f"{balanced.mean:.1f} (differences up to {balanced.margin:.1f} count as none) the uneven "
        f"games did, by {each}."
    )
