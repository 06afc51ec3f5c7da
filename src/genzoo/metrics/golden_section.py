"""Golden-section search (Kiefer 1953): the lowest value of a function with one valley."""

from __future__ import annotations

from collections.abc import Callable

RATIO = (5**0.5 - 1) / 2  # by which each step shortens the interval


def golden_section(
    function: Callable[[float], float], low: float, high: float, *, trials: int
) -> dict[float, float]:
    """Values of a function at `trials` points that close in on its lowest one.

    Args:
        function: whose lowest value is looked for; called `trials` times.
        low: where the search begins.
        high: where it ends, above `low`.
        trials: at least 2; the valley is found to within (high - low) 0.618^(trials - 1).

    Returns:
        The points, in the order in which they were tried, with their values.

    Raises:
        ValueError: for fewer trials or an empty interval.
    """
    if trials < 2 or not low < high:
        raise ValueError(f"{trials} trials between {low} and {high}")
    left, right = high - RATIO * (high - low), low + RATIO * (high - low)
    values = {left: function(left), right: function(right)}
    for _ in range(trials - 2):
        if values[left] <= values[right]:
            high, right = right, left
            left = high - RATIO * (high - low)
            values[left] = function(left)
        else:
            low, left = left, right
            right = low + RATIO * (high - low)
            values[right] = function(right)
    return values
