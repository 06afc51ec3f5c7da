"""task=export: a trained model as one small file with its card, to be handed on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genzoo.core.errors import UsageError
from genzoo.core.files import write_whole
from genzoo.machine.console import status
from genzoo.machine.redaction import command
from genzoo.models.base import parameter_count
from genzoo.report.text import duration
from genzoo.run import loading
from genzoo.weights import exported
from genzoo.weights.checkpoint import Checkpoint


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `file` and, beside it, a card with the same name in Markdown."""
    path = Path(cfg.file).expanduser()
    if path.suffix != ".safetensors":
        raise UsageError(f"file={cfg.file} is no safetensors file", "end its name in .safetensors")
    _check_free(path, cfg)
    model, checkpoint = loading.trained_model(cfg)
    if "data_fingerprint" not in checkpoint.about:
        raise UsageError(
            f"{checkpoint.path} was not trained by genzoo, which knows nothing to say of it",
            "hand on the file itself",
        )
    text = _card(path, checkpoint, parameter_count(model))
    exported.write(path, checkpoint.about, checkpoint.ema)
    card = _card_of(path)
    write_whole(card, text)
    megabytes = path.stat().st_size / 1e6
    status(f"{path}: {megabytes:.2f} MB; {card}")
    return {"megabytes": megabytes}


def _check_free(path: Path, cfg: DictConfig) -> None:
    """Whether the file and its card may be written.

    Raises:
        UsageError: where the checkpoint itself lies there, or another file and no `overwrite`.
    """
    if Path(cfg.checkpoint).resolve() == path.resolve():
        raise UsageError(f"file={cfg.file} is the checkpoint itself", "choose another name")
    there = [str(file) for file in (path, _card_of(path)) if file.exists()]
    if there and not cfg.overwrite:
        raise UsageError(
            f"{' and '.join(there)} would be written over",
            "choose another file=, or say overwrite=true",
        )


def _card_of(path: Path) -> Path:
    return path.with_suffix(".md")


def _card(path: Path, checkpoint: Checkpoint, parameters: int) -> str:
    about, config = checkpoint.about, checkpoint.config
    results = _results(checkpoint)
    data = f"{config['data']['name']} at {config['data']['image_size']} px"
    rows = {
        "model": config["model"]["name"],
        "parameters": f"{parameters:,}, stored in half precision, averaged weights",
        "data": f"{data} ({about['data_fingerprint']})",
        "images seen": f"{about['images_seen']:,}",
        "training time": duration(about["seconds"]),
        "began with": checkpoint.origin or "random weights",
        "machine": results.get("provenance", {}).get("device", "not recorded"),
        "seed": config["seed"],
        "sampler and guidance": f"{config['sampler']['name']}, {config['guidance']['name']}",
        "software": f"genzoo {about['version']}, revision {about['git']}",
    }
    lines = [f"# {path.stem}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    if results.get("attribution"):
        lines += ["", "## Licence", "", str(results["attribution"])]
    if results.get("command"):
        lines += ["", "## Made by", "", f"    {command(shlex.split(results['command']))}"]
    if results.get("metrics"):
        lines += ["", "## Measured", ""]
        lines += ["| metric | value | better | stamp |", "| --- | ---: | --- | --- |"]
        lines += [_row(name, entry) for name, entry in results["metrics"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, entry: dict[str, Any]) -> str:
    stamp = {key: value for key, value in entry["stamp"].items() if key != "metric"}
    return f"| {name} | {entry['value']:.4g} | {entry['better']} | `{json.dumps(stamp)}` |"


def _results(checkpoint: Checkpoint) -> dict[str, Any]:
    """results.json of the run that ended with this checkpoint, empty if there is none."""
    file = checkpoint.run_folder / "results.json"
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    same = found["training"]["images_seen"] == checkpoint.about["images_seen"]
    return found if same else {}  # else of an earlier part of the training
