"""Features of the real images: taken once, kept on disk, named by all that they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo.core.errors import GenzooError
from genzoo.core.noise import split_seed
from genzoo.machine.console import status
from genzoo.metrics.features import FeatureExtractor, Features
from genzoo.metrics.files import atomic_write
from genzoo.metrics.stats import FeatureStatistics, feature_statistics

FORMAT = 1


@dataclass(frozen=True)
class RealFeatures:
    """What generated images are compared with.

    Attributes:
        pooled: float32 features of the real images.
        split: the part of the data that they are from.
        fingerprint: of the data.
    """

    pooled: Float[Tensor, "n d"]
    split: str
    fingerprint: str

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
    count: int,
) -> RealFeatures:
    """The features of `count` real images, from the cache if they were taken before.

    Args:
        images: batches of 8-bit images; read only if the features are not in the cache.
        extractor: what takes them.
        cache: the folder; None to keep nothing.
        fingerprint: of the data, its image size included.
        split: which part of the data the images are.
        count: how many there are.

    Raises:
        GenzooError: `images` does not hold `count` images.
    """
    file = None if cache is None else cache / real_file(extractor, fingerprint, split, count)
    pooled = None if file is None else _load(file, (count, extractor.dim))
    if pooled is None:
        pooled = extract(images, extractor).pooled
        if len(pooled) != count:
            raise GenzooError(
                f"{len(pooled)} real images of split '{split}' came instead of {count}",
                "ask for no more real images than the split holds",
            )
        if file is not None:
            _keep(pooled, file)
    return RealFeatures(pooled, split, fingerprint)


def real_file(extractor: FeatureExtractor, fingerprint: str, split: str, count: int) -> str:
    """The file's name: a hash of everything that the features depend on."""
    parts = (
        FORMAT, extractor.name, extractor.sha256, extractor.input_size, extractor.resizing,
        extractor.quantisation, fingerprint, split, count,
    )  # fmt: skip
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
    return f"real-{key}.safetensors"


def _keep(pooled: Tensor, file: Path) -> None:
    """Write the file; a folder that cannot be written costs the time to do it again, no more."""
    try:
        with atomic_write(file) as part:
            save_file({"pooled": pooled.contiguous()}, part)
    except (OSError, SafetensorError, GenzooError) as error:
        status(f"  features of real images are not kept for the next time ({error})")


def _load(file: Path, shape: tuple[int, int]) -> Tensor | None:
    """The features in the file, or None if it is not there or not what it should be."""
    try:
        pooled = load_file(file)["pooled"]
    except (OSError, SafetensorError, KeyError):
        return None
    return pooled if pooled.shape == shape else None
