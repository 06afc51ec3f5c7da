"""A peer's samples and likelihood, measured by the functions that measure ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.peers.arena import Peer, Sampler
from genzoo.machine import provenance
from genzoo.metrics.interval import of_mean
from genzoo.metrics.stamp import definition
from genzoo.tasks.measuring import Entry, feature_entries, feature_metrics

if TYPE_CHECKING:
    from genzoo.data.dataset import TextImageData

SHOWN = 12  # samples kept for the figure
FRECHET = "frechet_distance/efficientnet_lite0"
Entries = dict[str, Entry]


@dataclass(frozen=True)
class Measured:
    """The results of one sampler.

    Attributes:
        entries: as in genzoo's results.json.
        seconds_per_image: of sampling.
        images: the first few.
    """

    entries: Entries
    seconds_per_image: float
    images: Tensor


def samples(
    cfg: DictConfig, data: TextImageData, sampler: Sampler, *, device: str = "cpu"
) -> Measured:
    """Sample and measure as many images as ours, in batches as large as ours."""
    measures = feature_metrics(cfg, data, torch.device(device))
    first, spent, timed, done = [], 0.0, 0, 0
    for images, seconds in _batches(sampler, cfg.metrics.images, cfg.metrics.batch):
        if done or len(images) == cfg.metrics.images:  # the first batch also warms up
            spent, timed = spent + seconds, timed + len(images)
        index = torch.arange(done, done + len(images))
        for measure in measures:
            measure.update(measure.extractor(images), index)
        done += len(images)
        first.append(images[: max(0, SHOWN - sum(map(len, first)))])
    entries = feature_entries(cfg, data, measures)
    return Measured(entries, spent / max(timed, 1), torch.cat(first))


@torch.no_grad()
def _batches(sampler: Sampler, count: int, batch: int) -> Iterator[tuple[Tensor, float]]:
    for start in range(0, count, batch):
        begin = time.perf_counter()
        images = sampler(min(batch, count - start))
        yield images, time.perf_counter() - begin


@torch.no_grad()
def likelihood(cfg: DictConfig, data: TextImageData, peer: Peer) -> Entries:
    """Bits per dimension of the held-out images that ours are measured on."""
    indices = torch.from_numpy(data.spread("validation", cfg.metrics.held_out_images))
    parts = []
    for rows in indices.split(cfg.metrics.batch):
        labels = torch.from_numpy(data.labels[rows.numpy()])
        bits = peer.bits_per_dim(data.images(rows), labels)
        if bits is None:
            return {}
        parts.append(bits.double())
    # The keys of genzoo's own stamp, so that `comparable` can tell whether both may be ranked.
    about = {
        **definition("bits_per_dim"), "likelihood": "bound", "dequantisation": peer.dequantisation,
        "split": "validation", "images": len(indices), "data": data.name,
        "data_fingerprint": data.fingerprint, "image_size": data.image_size, "ema": False,
        "sample_seed": cfg.seed, "version": provenance.software()["version"],
        "git": provenance.git_revision(),
    }  # fmt: skip
    bits_per_dim = torch.cat(parts)
    error, interval = of_mean(bits_per_dim.tolist()) or (None, None)
    entry = {
        "value": float(bits_per_dim.mean()), "spread": None, "better": "lower",
        "standard_error": error, "interval": interval, "stamp": about,
    }  # fmt: skip
    return {"bits_per_dim": entry}


def best(measure: Callable[[Sampler], Measured], peer: Peer) -> tuple[str, dict[str, Measured]]:
    """Every sampler measured, and the name of the one with the lowest Fréchet distance."""
    measured = {name: measure(sampler) for name, sampler in peer.variants().items()}
    return min(measured, key=lambda name: _distance(measured[name])), measured


def _distance(measured: Measured) -> float:
    value = float(measured.entries[FRECHET]["value"])
    return value if value == value else float("inf")
