"""What models are conditioned on, and which of it is taken from a real image."""

from __future__ import annotations

from collections.abc import Iterable

COMMON = frozenset({"text", "label"})  # which any model may read: they show nothing of an image
OF_A_REAL_IMAGE = {"low_res": "a smaller real image", "embedding": "the embedding of a real image"}
NOTHING = "nothing"


def given(conditions: Iterable[str]) -> str:
    """What conditions take from a real image, in words; `NOTHING` if they are common ones.

    Args:
        conditions: as in `Capabilities.conditions`; one of another name, such as ``mask``, is
            called by it.
    """
    taken = sorted(set(conditions) - COMMON)
    return " and ".join(OF_A_REAL_IMAGE.get(name, name) for name in taken) or NOTHING
