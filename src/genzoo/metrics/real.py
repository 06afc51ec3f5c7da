"""Features of the real images: taken once, kept on disk, named by all that they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo.core.digest import of_items
from genzoo.core.errors import GenzooError
from genzoo.core.noise import split_seed
from genzoo.machine.console import status
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.files import atomic_write
from genzoo.metrics.stats import FeatureStatistics, feature_statistics

FORMAT = 2


@dataclass(frozen=True)
class RealFeatures:
    """What generated images are compared with.

    Attributes:
        pooled: float32 features of the real images.
        split: the part of the data that they are from.
        fingerprint: of the data.
        indices: a hash of their numbers in the data; None for images that are from no data set.
    """

    pooled: Float[Tensor, "n d"]
    split: str
    fingerprint: str
    indices: str | None = None

    def __len__(self) -> int:
        return self.pooled.shape[0]

    @cached_property
    def statistics(self) -> FeatureStatistics:
        """Their mean and covariance.

        Raises:
            GenzooError: fewer than two images.
        """
        return feature_statistics(self.pooled)


def extract(images: Iterable[UInt8[Tensor, "b 3 h w"]], extractor: FeatureExtractor) -> Features:
    """Features of all batches, on the CPU."""
    parts = [extractor(batch) for batch in images]
    if not parts:
        return Features(torch.empty(0, extractor.dim), torch.empty(0, extractor.classes))
    logits = [part.logits.cpu() for part in parts if part.logits is not None]
    return Features(
        torch.cat([part.pooled.cpu() for part in parts]), torch.cat(logits) if logits else None
    )


def subset(indices: Int[Tensor, " n"], count: int | None, *, seed: int) -> Int[Tensor, " m"]:
    """At most `count` of a split's indices, ascending; None for all."""
    if count is None or count >= len(indices):
        return indices
    generator = torch.Generator().manual_seed(split_seed(seed, "real images"))
    return indices[torch.randperm(len(indices), generator=generator)[:count].sort().values]


def real_features(
    images: Iterable[UInt8[Tensor, "b 3 h w"]],
    extractor: FeatureExtractor,
    *,
    cache: Path | None,
    fingerprint: str,
    split: str,
    indices: Int[Tensor, " n"],
) -> RealFeatures:
    """The features of n real images, from the cache if they were taken before.

    Args:
        images: batches of 8-bit images; read only if the features are not in the cache.
        extractor: what takes them.
        cache: the folder; None to keep nothing.
        fingerprint: of the data, its image size included.
        split: which part of the data the images are.
        indices: which images of the data they are.

    Raises:
        GenzooError: `images` does not hold n images.
    """
    found = kept_features(
        images, extractor, cache=cache, fingerprint=fingerprint, indices=indices, classes=False
    )
    return RealFeatures(found.pooled, split, fingerprint, of_items(indices.tolist()))


def kept_features(
    images: Iterable[UInt8[Tensor, "b 3 h w"]],
    extractor: FeatureExtractor,
    *,
    cache: Path | None,
    fingerprint: str,
    indices: Int[Tensor, " n"],
    classes: bool = True,
) -> Features:
    """As `real_features`, with class scores as well, if `classes` says so."""
    what = of_items(indices.tolist())
    file = None if cache is None else cache / real_file(extractor, fingerprint, what, classes)
    wanted = {"pooled": (len(indices), extractor.dim)}
    if classes:
        wanted["logits"] = (len(indices), extractor.classes)
    held = None if file is None else _load(file, wanted)
    if held is None:
        found = extract(images, extractor)
        if len(found) != len(indices):
            raise GenzooError(
                f"{len(found)} real images came instead of {len(indices)}",
                "ask for no more real images than the split holds",
            )
        held = {"pooled": found.pooled}
        if classes:
            held["logits"] = (
                found.pooled.new_empty(len(found), 0) if found.logits is None else found.logits
            )
        if file is not None:
            _keep(held, file)
    return Features(held["pooled"], held.get("logits"))


def real_file(extractor: FeatureExtractor, fingerprint: str, indices: str, classes: bool) -> str:
    """The file's name: a hash of everything that the features depend on.

    Args:
        extractor: that takes them.
        fingerprint: of the data.
        indices: a hash of the images' numbers.
        classes: whether it holds class scores.
    """
    parts = (
        FORMAT, extractor.name, extractor.sha256, extractor.input_size, extractor.resizing,
        extractor.quantisation, fingerprint, indices, classes,
    )  # fmt: skip
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
    return f"real-{key}.safetensors"


def _keep(held: Mapping[str, Tensor], file: Path) -> None:
    """Write the file; a folder that cannot be written costs the time to do it again, no more."""
    try:
        with atomic_write(file) as part:
            save_file({name: value.contiguous() for name, value in held.items()}, part)
    except (OSError, SafetensorError, GenzooError) as error:
        status(f"  features of real images are not kept for the next time ({error})")


def _load(file: Path, wanted: Mapping[str, tuple[int, int]]) -> dict[str, Tensor] | None:
    """The tensors in the file, or None if it is not there or not what it should be."""
    try:
        held: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError):
        return None
    shapes = {name: tuple(value.shape) for name, value in held.items()}
    return held if shapes == dict(wanted) else None
