"""Features of the data's real images, from the cache or taken once for all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from torch import Tensor

from genzoo.data.dataset import TextImageData
from genzoo.machine import distributed
from genzoo.machine.console import Progress
from genzoo.metrics.features import FeatureExtractor
from genzoo.metrics.files import default_cache
from genzoo.metrics.real import RealFeatures, real_features

T = TypeVar("T")


def features_of(
    data: TextImageData, extractor: FeatureExtractor, *, split: str, indices: Tensor
) -> RealFeatures:
    """Features of some images of a split.

    Args:
        data: with the images.
        extractor: which takes the features.
        split: that the images are of.
        indices: which they are, ascending.
    """
    what = f"{extractor.name} of real images"
    return first(
        lambda: real_features(
            real_batches(data, indices, what),
            extractor,
            cache=default_cache(),
            fingerprint=data.fingerprint,
            split=split,
            indices=indices,
        )
    )


def first(make: Callable[[], T]) -> T:
    """Let the first process make something that lands in a cache, then the others read it."""
    if distributed.rank() == 0:
        made = make()
        distributed.barrier()
        return made
    distributed.barrier()
    return make()


def real_batches(data: TextImageData, indices: Tensor, what: str) -> Iterator[Tensor]:
    """8-bit batches of these images, with their progress."""
    done = 0
    with Progress(what, len(indices)) as progress:
        for part in indices.split(64):
            yield data.images(part.tolist())
            done += len(part)
            progress.at(done)
