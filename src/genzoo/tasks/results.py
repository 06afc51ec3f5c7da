"""results.json: everything about a run that is compared with other runs."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from genzoo.core.digest import of_weights
from genzoo.core.files import write_whole
from genzoo.data.dataset import TextImageData
from genzoo.machine import provenance
from genzoo.models.base import GenerativeModel, parameter_count
from genzoo.run import devices
from genzoo.tasks.measuring import Entry
from genzoo.text.length import Cut
from genzoo.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class Cost:
    """What the training took.

    Attributes:
        images_seen: over all processes.
        seconds: of training, without monitoring and evaluation.
        origin: the weights that it began with, or that were not trained here at all.
        precision: in which it computed; None where that is not known.
        seed: of the training; None where that is not known.
        checkpoint: a hash of the averaged weights, which tells one training from another.
    """

    images_seen: int
    seconds: float
    origin: str | None = None
    precision: str | None = None
    seed: int | None = None
    checkpoint: str | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Cost:
        """What a checkpoint says of its training."""
        about = checkpoint.about
        return cls(
            about["images_seen"],
            about["seconds"],
            checkpoint.origin,
            about.get("precision"),
            None if checkpoint.released else checkpoint.config.get("seed"),
            of_weights(checkpoint.ema),
        )


def write_results(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    entries: Mapping[str, Entry],
    cost: Cost,
    *,
    seconds_per_image: float | None,
    cut: Cut,
    real: Mapping[str, Any],
    tuning: Mapping[str, Any] | None = None,
) -> None:
    """Write the file into the run's folder, whole or not at all.

    Args:
        cfg: the prepared configuration.
        model: that was measured.
        data: it was trained on.
        entries: the metrics.
        cost: what the training took.
        seconds_per_image: of sampling.
        cut: how many captions of the data are too long to be read whole.
        real: what real images score, by the names of results.json.
        tuning: the search for the guidance scale, where there was one.
    """
    can = model.capabilities
    device = devices.device(cfg)
    results = {
        "schema": 1,
        "model": {
            "name": cfg.model.name,
            "parameters": parameter_count(model),
            "origin": cost.origin,
            "sampling": can.sampling,
            "capabilities": {
                "conditions": sorted(can.conditions),
                "likelihood": can.likelihood,
                "reconstruct": can.reconstruct,
                "latent": can.latent,
            },
        },
        "seed": cfg.seed,
        "metrics": entries,
        **real,
        **({} if tuning is None else {"tuning": tuning}),
        "training": {
            "images_seen": cost.images_seen,
            "seconds": cost.seconds,
            "images_per_second": cost.images_seen / max(cost.seconds, 1e-9),
            "peak_memory_bytes": peak_memory(device),
            "precision": cost.precision,
            "seed": cost.seed,
            "checkpoint": cost.checkpoint,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "images": len(data),
            "captions": int(data.wordings.count.sum()),
            "look_alikes": asdict(data.look_alikes),
        },
        "sampling": {
            "seconds_per_image": seconds_per_image,
            "precision": devices.stated_precision(cfg),
        },
        "captions": {"tokens": cut.context, "cut_share": cut.share, "most_tokens_cut": cut.most},
        "command": cfg.run.command,
        "provenance": {
            **provenance.software(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
        "attribution": data.attribution,
    }
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_whole(Path(cfg.run.folder) / "results.json", text)


def peak_memory(device: torch.device) -> int:
    """The most bytes that this process has held: on its GPU, or in main memory on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
