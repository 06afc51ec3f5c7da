"""Ours, run by the command line, and their results in the form of this table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from bench.peers.contestants import Contestant
from bench.peers.settings import Settings
from genzoo.config.values import read


def command(contestant: Contestant, settings: Settings, folder: Path) -> list[str]:
    place = f"hydra.run.dir={folder}"
    return [
        sys.executable, "-m", "genzoo", *contestant.model, *settings.overrides(), place
    ]  # fmt: skip


def record(folder: Path) -> dict[str, Any]:
    """genzoo's results, under the keys of a peer's record."""
    results = json.loads((folder / "results.json").read_text())
    cfg = read(folder / "config.yaml")
    temperature = OmegaConf.select(cfg, "model.temperature")
    dequantisation = OmegaConf.select(cfg, "model.dequantisation._target_")
    training = results["training"]
    strip(folder)
    return {
        "metrics": results["metrics"],
        "parameters": results["model"]["parameters"],
        "batch": cfg.optimizer.batch_size,
        "dequantisation": dequantisation and dequantisation.rpartition(".")[2].lower(),
        "images_seen": training["images_seen"],
        "training_seconds": training["seconds"],
        "samples_per_second": 1 / max(results["sampling"]["seconds_per_image"], 1e-9),
        "drawn": None if temperature is None else f"temperature {temperature:g}",
        "variants": {},
    }


def strip(folder: Path) -> None:
    """The gallery's samples in a row, two pixels apart, as a peer's."""
    gallery = json.loads((folder / "gallery" / "gallery.json").read_text())
    images = [
        np.pad(
            np.asarray(Image.open(folder / "gallery" / item["sample"]).convert("RGB")),
            ((2, 2), (2, 0), (0, 0)),
            constant_values=255,
        )
        for item in gallery["items"]
    ]
    Image.fromarray(np.concatenate(images, axis=1)).save(folder / "samples.png")
