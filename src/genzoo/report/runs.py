"""Run folders, read back."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genzoo.errors import GenzooError, UsageError

Json = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """One item of a run's gallery: files of the pictures, None where the model has none."""

    index: int
    caption: str
    seed: int
    real: Path
    sample: Path
    reconstruction: Path | None


@dataclass(frozen=True)
class RunRecord:
    """What a run folder holds.

    Attributes:
        folder: the run's.
        config: its resolved configuration.
        results: results.json, or None if the run did not get so far.
        curves: the points of its learning curves.
        gallery: its pictures.
        interpolation: the picture of its latent space, if it has one.
        attribution: what the images' licence wants shown.
        error: why it failed, or None.
    """

    folder: Path
    config: Json
    results: Json | None
    curves: tuple[Json, ...] = ()
    gallery: tuple[Picture, ...] = ()
    interpolation: Path | None = None
    attribution: str | None = None
    error: str | None = None
    metrics: Json = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.config.get("model", {}).get("name", self.folder.name))

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config.get("seed", 0))


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run folders that paths, patterns and sweep folders name, each once.

    Raises:
        UsageError: when one of them names no run.
    """
    found: dict[Path, None] = {}
    for path in paths:
        matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - absolute patterns too
        runs = [run for match in matches for run in _runs_below(match)]
        if not runs:
            raise UsageError(
                f"there is no run in {path}", "name run folders or sweep folders: runs=outputs/..."
            )
        found |= dict.fromkeys(runs)
    return list(found)


def load_run(folder: Path) -> RunRecord:
    """Read a run folder, finished or failed.

    Raises:
        UsageError: for a folder that is no run's.
        GenzooError: for one whose files are damaged.
    """
    if not _is_run(folder):
        raise UsageError(
            f"{folder} is no run folder", "name one that has a results.json or an error.txt"
        )
    results = _json(folder / "results.json")
    gallery = _json(folder / "gallery" / "gallery.json") or {}
    error = folder / "error.txt"
    return RunRecord(
        folder=folder,
        config=_config(folder),
        results=results,
        curves=tuple(_curves(folder / "curves.jsonl")),
        gallery=tuple(_pictures(folder / "gallery", gallery)),
        interpolation=_inside(folder / "gallery", gallery.get("interpolation")),
        attribution=gallery.get("attribution"),
        error=error.read_text(encoding="utf-8").strip() if error.exists() else None,
        metrics=(results or {}).get("metrics", {}),
    )


def _is_run(folder: Path) -> bool:
    return (folder / "results.json").is_file() or (folder / "error.txt").is_file()


def _runs_below(folder: Path) -> list[Path]:
    if _is_run(folder):
        return [folder]
    jobs = [job for job in folder.iterdir() if _is_run(job)] if folder.is_dir() else []
    return sorted(jobs, key=lambda job: (_number(job.name), job.name))


def _number(name: str) -> int:
    first = name.split("-")[0]
    return int(first) if first.isdigit() else -1


def _json(path: Path) -> Json | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GenzooError(f"{path} is damaged ({error})", "evaluate that run again") from error
    if not isinstance(content, dict):
        raise GenzooError(f"{path} is damaged", "evaluate that run again")
    return content


def _config(folder: Path) -> Json:
    for path in (folder / "config.yaml", folder / ".hydra" / "config.yaml"):
        if path.is_file():
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
    return {}


def _curves(path: Path) -> Iterator[Json]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing


def _inside(folder: Path, name: object) -> Path | None:
    """A file of the gallery by its plain name; what points elsewhere is refused."""
    if name is None:
        return None
    if not isinstance(name, str) or Path(name).name != name or name in (".", ".."):
        raise GenzooError(
            f"{folder / 'gallery.json'} names a file outside its folder: {name!r}",
            "evaluate that run again",
        )
    path = folder / name
    return path if path.is_file() and not path.is_symlink() else None


def _pictures(folder: Path, gallery: Json) -> Iterator[Picture]:
    for item in gallery.get("items", []):
        real, sample = _inside(folder, item.get("real")), _inside(folder, item.get("sample"))
        if real is not None and sample is not None:
            yield Picture(
                index=int(item["index"]),
                caption=str(item["caption"]),
                seed=int(item["seed"]),
                real=real,
                sample=sample,
                reconstruction=_inside(folder, item.get("reconstruction")),
            )
