"""Settings that all contestants share; numbers measured under other settings are another table."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from bench.__main__ import BOUND, _processor
from genzoo.config.composition import compose


@dataclass(frozen=True)
class Settings:
    minutes: float
    threads: int
    samples: int
    real_images: int
    held_out_images: int
    seed: int
    data: str
    image_size: int = 32

    def overrides(self) -> list[str]:
        """For genzoo's command line; peers compose their configuration from the same."""
        return [
            f"data={self.data}",
            f"data.image_size={self.image_size}",
            "budget.images=null",
            f"budget.minutes={self.minutes}",
            f"metrics.images={self.samples}",
            f"metrics.real_images={self.real_images}",
            "metrics.copies_among=0",
            f"metrics.held_out_images={self.held_out_images}",
            f"cpu.threads={self.threads}",
            f"seed={self.seed}",
            "trainer.gpus=0",
            # Peers write no images while they train. genzoo's clock leaves monitoring out; without
            # them the wall clock is the same for all, too.
            "trainer.monitor_images=null",
            "logger=none",
        ]


def environment(settings: Settings) -> dict[str, str]:
    """Of every contestant's process: threads bound to cores and waiting passively, no GPU.

    The rest, malloc above all, genzoo sets in its own process (`genzoo.machine.cpu`), and
    `bench.peers.one` calls the same function with the same values.
    """
    own = {"OMP_NUM_THREADS": str(settings.threads), "CUDA_VISIBLE_DEVICES": ""}
    return {**BOUND, **os.environ, **own, "PYTHONWARNINGS": "ignore"}


def conditions(settings: Settings) -> dict[str, Any]:
    """Conditions that must be equal for contestants of one table."""
    cpu = compose(*settings.overrides()).cpu
    return {
        **asdict(settings),
        "processor": _processor(),
        "cores": cores(),
        "torch": metadata.version("torch"),
        "keep_memory": cpu.keep_memory,
        "openmp": {**openmp(settings), "GOMP_SPINCOUNT": str(cpu.spin)},
    }


def openmp(settings: Settings) -> dict[str, str]:
    """The switches of OpenMP with which the contestants' processes start."""
    names = {*BOUND, "OMP_NUM_THREADS"}
    return {key: value for key, value in environment(settings).items() if key in names}


def cores() -> int:
    return len(os.sched_getaffinity(0))


def key_of(shared: Mapping[str, Any]) -> str:
    """A short name for one set of conditions."""
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:8]
