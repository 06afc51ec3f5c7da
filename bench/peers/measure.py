"""A peer's samples and likelihood, measured by the functions that measure ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from bench.peers.arena import Draw, Peer
from genzoo import provenance
from genzoo.metrics.settings import MetricSettings
from genzoo.metrics.stamp import Origin, stamp
from genzoo.metrics.suite import FeatureMetrics
from genzoo.tasks.evaluate import _measures, _origin

if TYPE_CHECKING:
    from genzoo.data.dataset import TextImageData

PICTURES = 12  # samples kept to be looked at
FRECHET = "frechet_distance/efficientnet_lite0"
Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Measured:
    """What one way of drawing gave.

    Attributes:
        entries: as in genzoo's results.json.
        seconds_per_image: of drawing.
        images: the first few.
    """

    entries: Entries
    seconds_per_image: float
    images: Tensor


def samples(cfg: DictConfig, data: TextImageData, draw: Draw, *, device: str = "cpu") -> Measured:
    """Draw and measure as many images as ours, in batches as large as ours."""
    settings = MetricSettings(**{f.name: cfg.metrics[f.name] for f in fields(MetricSettings)})
    measures = _measures(cfg, data, settings, torch.device(device))
    first, spent, timed, done = [], 0.0, 0, 0
    for images, seconds in _drawn(draw, cfg.metrics.images, cfg.metrics.batch):
        if done or len(images) == cfg.metrics.images:  # the first batch also warms up
            spent, timed = spent + seconds, timed + len(images)
        index = torch.arange(done, done + len(images))
        for measure in measures:
            measure.update(measure.extractor(images), index)
        done += len(images)
        first.append(images[: max(0, PICTURES - sum(map(len, first)))])
    origin = _origin(cfg, data, real=len(measures[0].real))
    entries: Entries = {}
    for measure in measures:
        entries |= _entries(measure, settings, origin)
    return Measured(entries, spent / max(timed, 1), torch.cat(first))


@torch.no_grad()
def _drawn(draw: Draw, count: int, batch: int) -> Iterator[tuple[Tensor, float]]:
    for start in range(0, count, batch):
        begin = time.perf_counter()
        images = draw(min(batch, count - start))
        yield images, time.perf_counter() - begin


def _entries(measure: FeatureMetrics, settings: MetricSettings, origin: Origin) -> Entries:
    return {
        name: {
            **value._asdict(),
            "stamp": stamp(name, extractor=measure.extractor, settings=settings, origin=origin),
        }
        for name, value in measure.compute().items()
    }


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
        "metric": "bits_per_dim", "likelihood": "bound", "dequantisation": peer.dequantisation,
        "split": "validation", "images": len(indices), "data": data.name,
        "data_fingerprint": data.fingerprint, "image_size": data.image_size, "ema": False,
        "seed": cfg.seed, "version": provenance.software()["version"],
        "git": provenance.git_revision(),
    }  # fmt: skip
    value = float(torch.cat(parts).mean())
    return {"bits_per_dim": {"value": value, "spread": None, "better": "lower", "stamp": about}}


def best(measure: Callable[[Draw], Measured], peer: Peer) -> tuple[str, dict[str, Measured]]:
    """Every way of drawing measured, and the name of the one with the lowest Fréchet distance."""
    measured = {name: measure(draw) for name, draw in peer.variants().items()}
    return min(measured, key=lambda name: _distance(measured[name])), measured


def _distance(measured: Measured) -> float:
    value = float(measured.entries[FRECHET]["value"])
    return value if value == value else float("inf")
