"""95 % intervals of numbers that were measured once, over the samples behind them.

An interval over samples is one of this training: another training of the same model moves the
number by more than other samples do. What bias a small number of samples causes is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.959963984540054  # the standard normal's 97.5 % quantile

# How an interval was found, by the kind of metric; of others it is that of a mean.
METHODS = {
    "frechet_distance": "by a jackknife, without the bias upwards that few samples cause",
    "frechet_distance_infinity": "of the samples and of the line together",
    "vendi": "by a jackknife, without the bias downwards that few samples cause",
    "cmmd": "by a jackknife over samples, too wide where they are like real images",
    "kernel_distance": "by a jackknife, with the chance of the subsets",
    "inception_score": "by a jackknife within the splits; their spread is something else",
    "precision": "by Wilson's formula",
    "recall": "by a jackknife, rather too wide",
    "memorised": "Wilson's of samples and of held-out images, combined",
    "coverage": "by a jackknife, rather too wide",
    "caption_accuracy": "by Wilson's formula",
}

# What the spread that the literature prints is over; it is no interval.
SPREADS = {"inception_score": "splits", "kernel_distance": "subsets"}


class Interval(NamedTuple):
    """What is known of a number's error over samples.

    Attributes:
        standard_error: of the number.
        interval: the 95 % interval's ends.
    """

    standard_error: float
    interval: tuple[float, float]


def normal(
    value: float, standard_error: float, *, low: float = -math.inf, high: float = math.inf
) -> Interval:
    """The normal interval, ended where the number's range ends.

    Args:
        value: the number.
        standard_error: of it.
        low: the least that it can be.
        high: the most.
    """
    half = Z * standard_error
    return Interval(standard_error, (max(low, value - half), min(high, value + half)))


def known(
    value: float, standard_error: float, *, low: float = -math.inf, high: float = math.inf
) -> tuple[float, tuple[float, float]] | tuple[None, None]:
    """Standard error and normal interval, or None and None where either number is not finite."""
    if not (math.isfinite(value) and math.isfinite(standard_error)):
        return None, None
    return normal(value, standard_error, low=low, high=high)


def share(
    value: float, standard_error: float, *, asked: int, high: float = 1.0
) -> tuple[float, tuple[float, float]] | tuple[None, None]:
    """`known`; where no sample made a difference, what none or all of so many trials would say.

    Args:
        value: of a share, or of what is 0 where nothing is found.
        standard_error: of it; 0 where leaving out any one sample changes nothing.
        asked: how many samples.
        high: the most that it can be.
    """
    if standard_error == 0 and value in (0.0, 1.0):
        return wilson(asked if value else 0, asked)
    return known(value, standard_error, low=0.0, high=high)


def of_mean(values: Sequence[float]) -> Interval | None:
    """Of the mean of independent values: Wilson's where each is 0 or 1, the normal otherwise.

    None for fewer than two values, or where one is not finite.
    """
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        return None
    if all(value in (0.0, 1.0) for value in values):
        return wilson(round(math.fsum(values)), n)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return normal(mean, math.sqrt(variance / n))


def wilson(right: int, asked: int) -> Interval:
    """Of a share of independent trials (Wilson 1927).

    The standard error is half of the interval's width over that of a standard normal's: unlike
    the plain one it is not 0 where all or none are right.

    Raises:
        ValueError: no trials.
    """
    if asked < 1:
        raise ValueError("a share of nothing has no interval")
    p, z2 = right / asked, Z * Z
    middle = (p + z2 / (2 * asked)) / (1 + z2 / asked)
    half = Z / (1 + z2 / asked) * math.sqrt(p * (1 - p) / asked + z2 / (4 * asked**2))
    low = 0.0 if right == 0 else middle - half  # rounding alone would leave 1e-17
    high = 1.0 if right == asked else middle + half
    return Interval(half / Z, (low, high))
