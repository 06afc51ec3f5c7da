"""Run folders as tasks write them, without a training: for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

FRECHET = "frechet_distance/efficientnet_lite0"
KERNEL = "kernel_distance/efficientnet_lite0"
CAPTIONS = ("red heart", "flying saucer", "woman biking")


def stamp(name: str, **changed: Any) -> dict[str, Any]:
    common = {
        "metric": name, "extractor": "efficientnet_lite0", "extractor_sha256": "ab" * 32,
        "input_size": 224, "real_images": 40, "generated_images": 12, "real_split": "train",
        "sample_seed": 0, "guidance": "none", "ema": True, "data": "openmoji", "image_size": 8,
        "version": "0.1.0", "git": None,
    }  # fmt: skip
    return common | changed


def metric(
    name: str,
    value: float,
    *,
    better: str = "lower",
    spread: float | None = None,
    error: float | None = 0.01,
    **changed: Any,
) -> dict[str, Any]:
    """An entry of results.json; with `error=None` as before there were intervals."""
    entry = {"value": value, "spread": spread, "better": better, "stamp": stamp(name, **changed)}
    if error is not None:
        entry |= {"standard_error": error, "interval": [value - 2 * error, value + 2 * error]}
    return {name: entry}


def write_run(
    folder: Path,
    *,
    model: str = "vae",
    seed: int = 0,
    metrics: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    captions: tuple[str, ...] = CAPTIONS,
    reconstruct: bool = True,
    attribution: str | None = "Drawn by somebody, CC BY-SA 4.0",
) -> Path:
    """A finished run."""
    (folder / "gallery").mkdir(parents=True)
    values = {
        "seed": seed, "model": {"name": model}, "data": {"name": "openmoji", "image_size": 8},
        "budget": {"images": 1000, "minutes": None}, "run": {"folder": str(folder)},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(values | (config or {})))
    write_json(folder / "results.json", _results(model, seed, metrics, reconstruct))
    gallery = _gallery(folder, seed, captions, reconstruct)
    write_json(folder / "gallery" / "gallery.json", {**gallery, "attribution": attribution})
    curve = [
        {"images": 10 * k, "seconds": 0.5 * k, "train/total": 3 / k, "validation/total": 4 / k}
        for k in range(1, 20)
    ]
    (folder / "curves.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
    return folder


def write_failed(folder: Path, error: str = "out of memory; lower optimizer.batch_size") -> Path:
    """A run that failed before it had anything."""
    folder.mkdir(parents=True)
    (folder / "error.txt").write_text(f"{error}\n")
    return folder


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def edit_json(path: Path, **changed: Any) -> None:
    write_json(path, json.loads(path.read_text()) | changed)


def _results(
    model: str, seed: int, metrics: dict[str, Any] | None, reconstruct: bool
) -> dict[str, Any]:
    return {
        "schema": 1,
        "model": {
            "name": model, "parameters": 1234, "sampling": "prior",
            "capabilities": {"conditions": [], "likelihood": None, "reconstruct": reconstruct,
                             "latent": reconstruct},
        },
        "seed": seed,
        "metrics": metric(FRECHET, 10.0 + seed) if metrics is None else metrics,
        "training": {"images_seen": 1000, "seconds": 90.0, "images_per_second": 11.1,
                     "peak_memory_bytes": 2**30},
        "sampling": {"seconds_per_image": 0.002},
        "command": f"python -m genzoo model={model} seed={seed}",
        "provenance": {"version": "0.1.0", "git": None, "device": "cpu"},
        "attribution": None,
    }  # fmt: skip


def _gallery(
    folder: Path, seed: int, captions: tuple[str, ...], reconstruct: bool
) -> dict[str, Any]:
    items = []
    for k, caption in enumerate(captions):
        names = {"real": f"real-{k}.png", "sample": f"sample-{k}.png", "reconstruction": None}
        if reconstruct:
            names["reconstruction"] = f"reconstruction-{k}.png"
        for number, name in enumerate(filter(None, names.values())):
            colour = (40 * k, 80 * number, 30 * seed)
            Image.new("RGB", (8, 8), colour).save(folder / "gallery" / name)
        items.append({"index": 7 * k, "caption": caption, "seed": seed, **names})
    strip = "interpolation.png" if reconstruct else None
    if strip:
        Image.new("RGB", (30, 10), "green").save(folder / "gallery" / strip)
    return {"items": items, "interpolation": strip}
