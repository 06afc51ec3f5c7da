"""results.json: contestants by the conditions under which they were measured."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.peers.contestants import CONTESTANTS, Contestant
from bench.peers.settings import key_of

Record = dict[str, Any]
COMMON = ("torch", "torchvision", "numpy", "pytorch-lightning", "torchmetrics")


def about(contestant: Contestant) -> dict[str, Any]:
    """When, and with which software."""
    from genzoo.machine import provenance

    versions = {name: _version(name) for name in (*COMMON, *contestant.packages)}
    software = provenance.software()
    return {
        "date": datetime.date.today().isoformat(),
        "git": software["git"],
        "versions": {"genzoo": software["version"], "python": software["python"], **versions},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def read(folder: Path) -> list[dict[str, Any]]:
    file = folder / "results.json"
    groups: list[dict[str, Any]] = json.loads(file.read_text())["groups"] if file.exists() else []
    return groups


def merge(
    groups: list[dict[str, Any]], shared: Mapping[str, Any], name: str, record: Record
) -> list[dict[str, Any]]:
    """The groups with this contestant's record in the one of the same conditions."""
    key = key_of(shared)
    found = next((group for group in groups if group["key"] == key), None)
    if found is None:
        found = {"key": key, "conditions": dict(shared), "contestants": {}}
    contestants = {**found["contestants"], name: record}
    ordered = {known: contestants[known] for known in CONTESTANTS if known in contestants}
    merged = {**found, "contestants": ordered}
    others = [group for group in groups if group["key"] != key]
    return [*others, merged]  # the conditions measured last come last


def write(folder: Path, groups: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "results.json.new"
    fresh.write_text(json.dumps({"schema": 1, "groups": groups}, indent=1) + "\n")
    fresh.replace(folder / "results.json")


def keep_strip(folder: Path, key: str, name: str, image: Path) -> None:
    """The samples beside results.json, so that a later run can draw the image of all."""
    place = strip(folder, key, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, place)


def strip(folder: Path, key: str, name: str) -> Path:
    return folder / "samples" / f"{key}-{name}.png"
