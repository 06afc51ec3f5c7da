"""Which items are for training: decided by a hash, so that it never depends on order or chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from genzoo.core.errors import UsageError
from genzoo.data.source import Item

TRAIN = "train"
VALIDATION = "validation"


def hash_fraction(group: str) -> float:
    """A number in [0, 1) that depends on the group's name alone, evenly spread over groups."""
    digest = hashlib.blake2b(group.encode(), digest_size=8, person=b"genzoo split").digest()
    return int.from_bytes(digest, "big") / 2**64


def split(items: Sequence[Item], *, validation: float) -> dict[str, np.ndarray]:
    """The items' numbers in each split, ascending.

    A group lies on one side whole; adding items moves no group to the other side. Where nothing
    falls below the wanted share, the group nearest to it is taken, so that a small set of images
    has a validation split as well.

    Args:
        items: what is to be divided.
        validation: the wanted share of groups, in [0, 1).

    Returns:
        ``train`` and ``validation``, and every split that the source names itself.

    Raises:
        UsageError: when the share lies outside [0, 1) or nothing is left to train on.
    """
    if not 0 <= validation < 1:
        raise UsageError(
            f"data.validation={validation} is no share of the images",
            "give a number from 0 to below 1, such as data.validation=0.1",
        )
    shares = {item.group: hash_fraction(item.group) for item in items if item.split is None}
    limit = _limit(shares.values(), validation)
    names = np.array([item.split or _side(shares[item.group], limit) for item in items], dtype=str)
    found = {name: np.flatnonzero(names == name) for name in np.unique(names).tolist()}
    if len(found.get(TRAIN, ())) == 0:
        raise UsageError(
            f"none of the {len(items)} images is left for training",
            "give more images or a smaller data.validation",
        )
    return {TRAIN: found[TRAIN], VALIDATION: np.array([], dtype=np.int64), **found}


def _side(share_of_group: float, limit: float) -> str:
    return VALIDATION if share_of_group < limit else TRAIN


def _limit(shares: Iterable[float], validation: float) -> float:
    ordered = sorted(shares)
    if validation == 0 or len(ordered) < 2:
        return 0.0
    # Above the smallest and not above the largest: neither side stays empty.
    return float(min(max(validation, np.nextafter(ordered[0], 1)), ordered[-1]))
