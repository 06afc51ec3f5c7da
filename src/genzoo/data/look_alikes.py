"""Images with identical pixels, whatever their names: found, reported, kept in one split.

They are compared at the size of the cache. Copies of a file are alike at every size; drawings that
differ by a detail may be alike when they are small, and then a model can no more tell them apart
than copies. A split is therefore without leaks at its own size, and may differ between sizes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genzoo.data.source import Item

NAMED = 1000  # sets named in the report

Sets = Sequence[Sequence[int]]  # the numbers of images with identical pixels, a sequence a set


def find(images: Iterable[np.ndarray], count: int) -> list[list[int]]:
    """The numbers of images with identical pixels, ascending, a list a set.

    Two images that differ are taken for equal with a chance of 2^-64.

    Args:
        images: contiguous arrays of one shape.
        count: how many.
    """
    digests = np.fromiter((_digest(pixels) for pixels in images), np.uint64, count)
    _, which, often = np.unique(digests, return_inverse=True, return_counts=True)
    sets: dict[int, list[int]] = {}
    for number in np.flatnonzero(often[which] > 1).tolist():
        sets.setdefault(int(which[number]), []).append(number)
    return list(sets.values())


def report(items: Sequence[Item], alike: Sets) -> dict[str, Any]:
    """How many images have the pixels of another, in how many sets; the first sets by name."""
    return {
        "look_alikes": sum(map(len, alike)),
        "look_alike_sets": len(alike),
        "alike": [[items[i].key for i in numbers] for numbers in alike[:NAMED]],
    }


@dataclass(frozen=True)
class LookAlikes:
    """How many images have the pixels of another one.

    Attributes:
        images: that do.
        sets: of such images.
        joined: groups that lie in one split because of them, and have different names.
        parted: sets of which the data's own splits hold a part.
    """

    images: int
    sets: int
    joined: int
    parted: int

    def __str__(self) -> str:
        words = f"{self.sets:,} set{'s' * (self.sets != 1)} of identical images"
        words += f" ({self.images:,} images)"
        words += ", each in one split" if not self.parted else ""
        if self.joined:
            words += f"; {self.joined:,} groups are joined by them"
        if self.parted:
            words += (
                f"; the data's own splits part {self.parted:,}: what else has their images is "
                "neither trained on nor validated"
            )
        return words


def count(
    items: Sequence[Item], alike: Sets, splits: Mapping[str, Sequence[int] | np.ndarray]
) -> LookAlikes:
    """What is said of look-alikes.

    Args:
        items: the images.
        alike: as `find` gives them.
        splits: the images' numbers in each split.
    """
    split = {int(i): name for name, numbers in splits.items() for i in numbers}
    parted = sum(1 for numbers in alike if len({split[i] for i in numbers}) > 1)
    sizes = Counter(merged_groups(items, alike).values())
    joined = sum(size for size in sizes.values() if size > 1)
    return LookAlikes(sum(map(len, alike)), len(alike), joined, parted)


def merged_groups(items: Sequence[Item], alike: Sets) -> dict[str, str]:
    """Each group with the name of the one that it belongs to: the first in the alphabet.

    Groups with an image in common are one. A later image with a later name, as files are
    numbered, joins its look-alike's group and moves nothing.
    """
    parent: dict[str, str] = {item.group: item.group for item in items}

    def top(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for numbers in alike:
        tops = sorted({top(items[i].group) for i in numbers})
        for other in tops[1:]:
            parent[other] = tops[0]
    return {group: top(group) for group in parent}


def _digest(pixels: np.ndarray) -> int:
    return int.from_bytes(hashlib.blake2b(pixels.data, digest_size=8).digest())
