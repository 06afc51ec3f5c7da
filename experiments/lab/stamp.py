"""The origin of a study's numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.lab.sweep import Outcome
from genzoo.machine import provenance

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "numpy")


def machine() -> dict[str, Any]:
    """The processor and its cores, and the GPU where there is one."""
    import torch

    there = torch.cuda.is_available()
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if there else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor() -> str:
    """The model of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")


def software() -> dict[str, str | None]:
    """Versions of genzoo, Python and the main packages."""
    return {**provenance.software(), **{name: metadata.version(name) for name in PACKAGES}}


def about(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Every run at every stage: its command, cost, metrics and stamps."""
    return [
        {
            "name": outcome.run.name,
            "overrides": list(outcome.run.overrides),
            "command": record.config.get("run", {}).get("command"),
            "seed": record.seed,
            "budget_images": outcome.run.stages[stage],
            "images_seen": record.get("training", "images_seen"),
            "training_minutes": _minutes(record.get("training", "seconds")),
            "parameters": record.get("model", "parameters"),
            "broke_down": record.error,
            "metrics": record.metrics,
            "provenance": (record.results or {}).get("provenance"),
        }
        for outcome in outcomes
        for stage, record in enumerate(outcome.records)
    ]


def fingerprints(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """The data and the revisions that the runs have; one of each where all is well."""
    records = [record for outcome in outcomes for record in outcome.records]
    data = {
        str(entry["stamp"].get("data_fingerprint"))
        for record in records
        for entry in record.metrics.values()
    }
    revisions = {str(record.get("provenance", "git")) for record in records if record.results}
    return {"data_fingerprints": sorted(data), "revisions": sorted(revisions)}


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 60, 3)
