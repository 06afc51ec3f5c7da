"""What a reader must know of a metric beside its number, read from what was recorded with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.metrics.revisions import kind_of

Recorded = Mapping[str, Any]  # a metric in results.json: value, stamp, floor


def caution(metric: str, recorded: Sequence[Recorded]) -> str | None:
    """One clause on what few images, splits or an extrapolation do to it; None for nothing.

    Args:
        metric: its name.
        recorded: what each run has of it, 1 or more.
    """
    stamp = recorded[0]["stamp"]
    kind = kind_of(metric)
    if kind == "frechet_distance":
        floors = [run["floor"] for run in recorded if run.get("floor") is not None]
        return _floor(max(floors), stamp) if floors else None
    if kind == "frechet_distance_infinity":
        return (
            f"extrapolated to infinitely many samples by a {stamp.get('settings')}; what "
            f"{_count(stamp, 'real_images')} real images lack of all that there could be stays "
            "in it"
        )
    if kind == "inception_score":
        return (
            f"the mean over {stamp.get('settings')}; it rises with the number of samples in a "
            f"split, {_count(stamp, 'generated_images')} over the splits, so that only equal "
            "numbers of both compare"
        )
    return None


def _floor(floor: float, stamp: Recorded) -> str:
    return (
        f"with {_count(stamp, 'generated_images')} samples against "
        f"{_count(stamp, 'real_images')} real images a perfect model would score about "
        f"{floor:.2g}; of so few images the kernel distance says more, as it has no such bias"
    )


def _count(stamp: Recorded, key: str) -> str:
    value = stamp.get(key)
    return f"{value:,}" if isinstance(value, int) else "so many"
