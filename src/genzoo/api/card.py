"""The card of a trained model: where it comes from, and what was measured."""

from __future__ import annotations

import contextlib
import json
import shlex
from typing import Any

from genzoo.machine.redaction import command
from genzoo.models.base import GenerativeModel, parameter_count
from genzoo.report.text import duration
from genzoo.weights.checkpoint import Checkpoint

HALF = "half precision"  # as task=export stores parameters
HEAD = ("", "| | |", "| --- | --- |")


def own_card(name: str, checkpoint: Checkpoint, model: GenerativeModel) -> str:
    """The card of a loaded model: the one beside its file, if it was exported with one.

    Args:
        name: what people know the model by.
        checkpoint: of the model.
        model: whose parameters are counted.
    """
    path = checkpoint.path
    exported = path.suffix == ".safetensors"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        beside = path.with_suffix(".md").read_text(encoding="utf-8")
        if exported and beside.startswith("\n".join((f"# {path.stem}", *HEAD, "| model |"))):
            return beside
    if "data_fingerprint" not in checkpoint.about:
        return f"# {name}\n\nReleased weights, not trained by genzoo.\n"
    stored = HALF if exported else "single precision"
    return card_text(name, checkpoint, parameter_count(model), stored=stored)


def card_text(name: str, checkpoint: Checkpoint, parameters: int, *, stored: str = HALF) -> str:
    """What there is to say of a model, in Markdown: how it came about, and what was measured.

    Args:
        name: the card's title.
        checkpoint: of the model.
        parameters: how many it has.
        stored: the precision of the file that the card describes.
    """
    about, config = checkpoint.about, checkpoint.config
    results = _results(checkpoint)
    data = f"{config['data']['name']} at {config['data']['image_size']} px"
    rows = {
        "model": config["model"]["name"],
        "parameters": f"{parameters:,}, stored in {stored}, averaged weights",
        "data": f"{data} ({about['data_fingerprint']})",
        "images seen": f"{about['images_seen']:,}",
        "training time": duration(about["seconds"]),
        "began with": checkpoint.origin or "random weights",
        "machine": results.get("provenance", {}).get("device", "not recorded"),
        "seed": config["seed"],
        "sampler and guidance": f"{config['sampler']['name']}, {config['guidance']['name']}",
        "software": f"genzoo {about['version']}, revision {about['git']}",
    }
    lines = [f"# {name}", *HEAD]
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
