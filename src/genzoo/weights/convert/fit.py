"""Checks that released weights have the names and shapes that a network needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from genzoo.core.errors import UsageError

SHOWN = 20  # differences that a message lists


def check_fit(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
    *,
    what: str,
    remedy: str,
) -> None:
    """Make sure that a state dict has exactly the expected keys and shapes.

    Args:
        state: by the reference's names.
        shapes: expected, by the same names.
        what: the mismatch, for the message.
        remedy: what to check.

    Raises:
        UsageError: lists the keys that are unknown, missing or of another shape.
    """
    wrong = [f"unknown: {key}" for key in state if key not in shapes]
    wrong += [f"missing: {key}" for key in shapes if key not in state]
    for key, expected in shapes.items():
        if key in state and tuple(state[key].shape) != tuple(expected):
            found = tuple(state[key].shape)
            wrong.append(f"misshapen: {key} is {found}, expected {tuple(expected)}")
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if wrong[SHOWN:] else ""
        raise UsageError(f"{what}: {'; '.join(wrong[:SHOWN])}{more}", remedy)
