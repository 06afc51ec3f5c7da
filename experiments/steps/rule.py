"""When claim 4 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.lab.findings import Answer, Verdict

GAIN = 0.1  # share of the Fréchet distance that the most steps have to take off that of the fewest
LOSS = 0.05  # by which it may rise anywhere between two numbers of steps and still count as level


@dataclass(frozen=True)
class Point:
    """One sampler with one number of steps.

    Attributes:
        steps: made.
        distance: Fréchet distance of its samples.
        seconds: that one image took.
    """

    steps: int
    distance: float
    seconds: float


def verdict(samplers: Mapping[str, Sequence[Point]]) -> Verdict:
    """Whether quality and cost grow with the steps, for every sampler.

    Args:
        samplers: points by the sampler's name, from few steps to many.
    """
    better = {name: improves(points) for name, points in samplers.items()}
    dearer = all(costs(points) for points in samplers.values())
    each = "; ".join(
        f"{name}: {points[0].distance:.1f} with {points[0].steps} steps, "
        f"{points[-1].distance:.1f} with {points[-1].steps}, best {_best(points).distance:.1f} "
        f"with {_best(points).steps}"
        for name, points in samplers.items()
    )
    grows = "grew with every step" if dearer else "did not always grow with the steps"
    return Verdict(
        _answer(list(better.values()), dearer), f"Fréchet distances are {each}. The cost {grows}."
    )


def improves(points: Sequence[Point]) -> bool:
    """Whether many steps are much better than few, and no step on the way much worse."""
    distances = [point.distance for point in points]
    steady = all(
        later <= (1 + LOSS) * min(distances[: k + 1]) for k, later in enumerate(distances[1:])
    )
    return steady and distances[-1] <= (1 - GAIN) * distances[0]


def costs(points: Sequence[Point]) -> bool:
    """Whether each larger number of steps takes longer."""
    return all(b.seconds > a.seconds for a, b in itertools.pairwise(points))


def _answer(better: Sequence[bool], dearer: bool) -> Answer:
    if all(better) and dearer:
        return "supported"
    return "undecided" if any(better) and dearer else "not supported"


def _best(points: Sequence[Point]) -> Point:
    return min(points, key=lambda point: point.distance)
