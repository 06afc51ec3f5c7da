"""When claim 3 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.lab.findings import Answer, Verdict

EXACT = 1e-4  # largest deviation of a value in [-1, 1] that float32 may leave
GAIN = 0.1  # share of the Fréchet distance by which training has to improve the samples


@dataclass(frozen=True)
class Stage:
    """A flow at one point of its training.

    Attributes:
        images: seen by then.
        largest: deviation of any value of any reconstructed held-out image, in [-1, 1].
        identical: share of the 8-bit values that come back unchanged.
        distance: Fréchet distance of samples, which the inverse decodes; None without.
    """

    images: int
    largest: float
    identical: float
    distance: float | None


def verdict(stages: Sequence[Stage], others: Mapping[str, float]) -> Verdict:
    """Whether the inverse is exact at every stage, and generates without having been trained to.

    Args:
        stages: of the flow, from before to after training.
        others: the trained models with a decoder of their own, and the share of 8-bit values
            that comes back unchanged through them.
    """
    return Verdict(_answer(stages), f"{_inverse(stages)} {_samples(stages)} {_others(others)}")


def _answer(stages: Sequence[Stage]) -> Answer:
    if any(stage.identical < 1 for stage in stages):
        return "not supported"
    exact = all(stage.largest <= EXACT for stage in stages)
    return "supported" if exact and _learned(stages) else "undecided"


def _learned(stages: Sequence[Stage]) -> bool:
    """Whether training the encoder alone improved the inverse's samples."""
    first, last = stages[0].distance, stages[-1].distance
    return first is not None and last is not None and last < (1 - GAIN) * first


def _inverse(stages: Sequence[Stage]) -> str:
    each = ", ".join(f"{stage.largest:.1e} after {stage.images:,} images" for stage in stages)
    least = min(stage.identical for stage in stages)
    return (
        f"Held-out images that go through the encoder and its inverse deviate by at most {each}, "
        f"in the range [-1, 1] and in float32 ({EXACT:.0e} counts as exact); {least:.4%} of the "
        "8-bit values come back unchanged."
    )


def _samples(stages: Sequence[Stage]) -> str:
    first, last = stages[0].distance, stages[-1].distance
    if first is None or last is None:
        return "Nothing is known about its samples."
    did = "did" if _learned(stages) else "did not"
    return (
        f"Training, which uses the encoder alone, {did} make the inverse a better generator: the "
        f"Fréchet distance of its samples went from {first:.1f} to {last:.1f}."
    )


def _others(others: Mapping[str, float]) -> str:
    each = ", ".join(f"{share:.1%} through the {name}" for name, share in others.items())
    return f"With a trained decoder of their own come back unchanged: {each}."
