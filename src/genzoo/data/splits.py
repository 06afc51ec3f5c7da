"""Which items are for training: decided by a hash, so that it never depends on order or chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from genzoo.core.errors import UsageError
from genzoo.data.look_alikes import Sets, merged_groups
from genzoo.data.source import Item

TRAIN = "train"
VALIDATION = "validation"
DUPLICATES = "duplicates"


def hash_fraction(group: str) -> float:
    """A number in [0, 1) that depends on the group's name alone, evenly spread over groups."""
    digest = hashlib.blake2b(group.encode(), digest_size=8, person=b"genzoo split").digest()
    return int.from_bytes(digest, "big") / 2**64


def split(items: Sequence[Item], *, validation: float, alike: Sets = ()) -> dict[str, np.ndarray]:
    """The items' numbers in each split, ascending.

    A group lies on one side whole, and so do groups with identical images, by the name that comes
    first in the alphabet; adding items moves no group to the other side, unless it joins two.
    Where nothing falls below the wanted share, the group nearest to it is taken, so that a small
    set of images has a validation split as well.

    A split that the source names stays as its publisher made it. What has the pixels of one of
    its images, and would be divided by hash, is neither trained on nor validated: its whole group
    lies in the split ``duplicates``.

    Args:
        items: what is to be divided.
        validation: the wanted share of groups, in [0, 1).
        alike: the numbers of items with identical pixels, a sequence a set.

    Returns:
        ``train`` and ``validation``, every split that the source names itself, and
        ``duplicates`` where there are any.

    Raises:
        UsageError: when the share lies outside [0, 1) or nothing is left to train on.
    """
    if not 0 <= validation < 1:
        raise UsageError(
            f"data.validation={validation} is no share of the images",
            "give a number from 0 to below 1, such as data.validation=0.1",
        )
    names = np.array(_names(items, validation, alike), dtype=str)
    found = {name: np.flatnonzero(names == name) for name in np.unique(names).tolist()}
    if len(found.get(TRAIN, ())) == 0:
        raise UsageError(
            f"none of the {len(items)} images is left for training",
            "give more images or a smaller data.validation",
        )
    return {TRAIN: found[TRAIN], VALIDATION: np.array([], dtype=np.int64), **found}


def _names(items: Sequence[Item], validation: float, alike: Sets) -> list[str]:
    """The split of each item."""
    divided = [i for i, item in enumerate(items) if item.split is None]
    place = {i: k for k, i in enumerate(divided)}
    own = [[place[i] for i in numbers if i in place] for numbers in alike]
    groups = merged_groups([items[i] for i in divided], own)
    published = {
        groups[items[divided[mine[0]]].group]
        for mine, numbers in zip(own, alike, strict=True)
        if 0 < len(mine) < len(numbers)
    }
    shares = {name: hash_fraction(name) for name in set(groups.values()) - published}
    limit = _limit(shares.values(), validation)

    def name(item: Item) -> str:
        if item.split is not None:
            return item.split
        group = groups[item.group]
        return DUPLICATES if group in published else _side(shares[group], limit)

    return [name(item) for item in items]


def _side(share_of_group: float, limit: float) -> str:
    return VALIDATION if share_of_group < limit else TRAIN


def _limit(shares: Iterable[float], validation: float) -> float:
    ordered = sorted(shares)
    if validation == 0 or len(ordered) < 2:
        return 0.0
    # Above the smallest and not above the largest: neither side stays empty.
    return float(min(max(validation, np.nextafter(ordered[0], 1)), ordered[-1]))
