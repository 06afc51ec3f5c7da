"""Reading run folders: of finished, failed and unfinished runs."""

from __future__ import annotations

import glob
import json
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genzoo.core.conditions import given
from genzoo.core.errors import GenzooError, UsageError
from genzoo.machine.redaction import cleaned, command, redacted

Json = dict[str, Any]

DEPTH = 3  # folders below a given one in which runs are looked for: outputs/<day>/<sweep>/<job>
REMEDY = "evaluate that run again"
# Sections that say nothing of images which another program generated.
OF_TRAININGS = (
    *("model", "data", "text", "budget", "optimizer", "ema", "trainer", "strategy"),
    *("sampler", "guidance"),
)


@dataclass(frozen=True)
class GalleryItem:
    """One item of a run's gallery.

    Attributes:
        index: the item's number in the data set.
        caption: of the image.
        split: of the data set, that the item belongs to.
        seed: of the run.
        real: file of the real image.
        sample: file of the model's image for this caption and seed.
        reconstruction: file of the reconstructed real image; None without one.
    """

    index: int
    caption: str
    split: str
    seed: int
    real: Path
    sample: Path
    reconstruction: Path | None


@dataclass(frozen=True)
class GivenImage:
    """One of the images that task=score measured.

    Attributes:
        image: its file.
        caption: empty without one.
    """

    image: Path
    caption: str


@dataclass(frozen=True)
class RunRecord:
    """The content of a run folder.

    Attributes:
        folder: the run's.
        config: its resolved configuration; empty if it failed before it had one.
        results: results.json, or None if the run did not finish.
        curves: the points of its learning curves, in order.
        gallery: its items.
        given: images of another program, if it measured those and no model.
        interpolation: file of the latent interpolation, if it has one.
        attribution: the attribution that the images' licence requires.
        error: why there are no results to compare, in one line; None for a finished run.
    """

    folder: Path
    config: Json
    results: Json | None
    curves: tuple[Json, ...] = ()
    gallery: tuple[GalleryItem, ...] = ()
    given: tuple[GivenImage, ...] = ()
    interpolation: Path | None = None
    attribution: str | None = None
    error: str | None = None
    metrics: Json = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model's name, and the origin of weights that the run did not train from scratch."""
        model = self.config.get("model")
        named = self.get("model", "name")
        name = named or (model.get("name") if isinstance(model, dict) else "") or "unknown"
        origin = self.get("model", "origin")
        return f"{name} (from {origin})" if origin else str(name)

    @property
    def of_images(self) -> bool:
        """Whether it measured images of another program, and no model."""
        return _of_images(self.results)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int((self.results or {}).get("seed") or self.config.get("seed") or 0)

    @property
    def training(self) -> str:
        """Which training it measured: the checksum of the weights, or where they came from.

        What was measured before results had the checksum is told apart by the checkpoint's name.
        """
        known = self.get("training", "checkpoint")
        if known:
            return str(known)
        if self.of_images:  # nobody knows which training they are of: a name counts as one
            return self.model
        return str(self.config["checkpoint"]) if self._measured_a_checkpoint else str(self.folder)

    @property
    def training_seed(self) -> int | None:
        """The seed that was trained with; None where that is not recorded."""
        known = self.get("training", "seed")
        if isinstance(known, int):
            return known
        return None if self._measured_a_checkpoint or self.of_images else self.seed

    @property
    def _measured_a_checkpoint(self) -> bool:
        task = self.config.get("task")
        name = task.get("name") if isinstance(task, dict) else None
        return name not in (None, "fit") and bool(self.config.get("checkpoint"))

    @property
    def fingerprint(self) -> str | None:
        """Of the content of the data that it was measured on; None where it is not recorded."""
        named = self.get("data", "fingerprint")
        stamps = (entry["stamp"].get("data_fingerprint") for entry in self.metrics.values())
        return named or next((str(value) for value in stamps if value), None)

    def get(self, section: str, key: str) -> Any:
        """A value of results.json; None where it is absent."""
        part = (self.results or {}).get(section)
        return part.get(key) if isinstance(part, dict) else None


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run folders that paths, patterns and sweep folders name, each once and in order.

    A folder that is no run stands for the runs below it, three levels deep at most, so that a
    sweep or a whole day can be named.

    Raises:
        UsageError: when one of them names no run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        pattern = str(Path(path).expanduser())
        matches = [Path(pattern)] if Path(pattern).exists() else _glob(pattern)
        runs = [run for match in matches for run in _runs_below(match, DEPTH)]
        if not runs:
            what = "there is no run in" if matches else "there is no run"
            raise UsageError(
                f"{what} {path}", "name run folders or sweep folders: runs=outputs/..."
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def load_run(folder: Path) -> RunRecord:
    """Read a run folder: finished, failed, or unfinished.

    Raises:
        UsageError: for a folder that is no run's.
        GenzooError: for one whose files are damaged or name files elsewhere.
    """
    if not is_run(folder):
        raise UsageError(
            f"{folder} is no run folder", "name one that has a results.json or an error.txt"
        )
    results = read_json(folder / "results.json")
    gallery = read_json(folder / "gallery" / "gallery.json") or {}
    if results is not None and not isinstance(results.get("metrics"), dict):
        raise GenzooError(f"{folder / 'results.json'} has no metrics", REMEDY)
    if results is not None and results.get("command"):  # pages are shared
        results["command"] = _shown(str(results["command"]))
    attribution = gallery.get("attribution") or (results or {}).get("attribution")
    return RunRecord(
        folder=folder,
        config=cleaned(_own_part(_config(folder), results)),
        results=results,
        curves=tuple(_curves(folder / "curves.jsonl")),
        gallery=tuple(_gallery_items(folder / "gallery", gallery)),
        given=tuple(_given_images(folder / "gallery", gallery)),
        interpolation=inside(folder / "gallery", gallery.get("interpolation")),
        attribution=None if attribution is None else str(attribution),
        error=_error(folder, finished=results is not None),
        metrics=_metrics(results),
    )


def is_run(folder: Path) -> bool:
    """Whether a folder holds a finished, failed or unfinished run."""
    return any((folder / name).exists() for name in ("results.json", "error.txt")) or (
        (folder / "config.yaml").is_file()
        and any((folder / name).exists() for name in ("checkpoints", "curves.jsonl"))
    )


def _shown(line: str) -> str:
    try:
        return command(shlex.split(line))
    except ValueError:  # not written by genzoo
        return redacted(line)


def _glob(pattern: str) -> list[Path]:
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - absolute patterns too
    return sorted((Path(match) for match in matches), key=_natural)


def _runs_below(folder: Path, depth: int) -> list[Path]:
    if is_run(folder):
        return [folder]
    if depth == 0 or not folder.is_dir():
        return []
    children = sorted((child for child in folder.iterdir() if child.is_dir()), key=_natural)
    return [run for child in children for run in _runs_below(child, depth - 1)]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Job 10 comes after job 9."""
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _error(folder: Path, *, finished: bool) -> str | None:
    path = folder / "error.txt"
    if path.is_file():
        line = " ".join(path.read_text(encoding="utf-8", errors="replace").split())
        return redacted(line) or "it failed"
    return None if finished else "it has not finished"


def read_json(path: Path) -> Json | None:
    """The object in a JSON file; None without the file.

    Raises:
        GenzooError: if it is damaged.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise GenzooError(f"{path} is damaged ({error})", REMEDY) from error
    if not isinstance(content, dict):
        raise GenzooError(f"{path} is damaged (no JSON object)", REMEDY)
    return content


def _metrics(results: Json | None) -> Json:
    """The metrics with a value."""
    metrics = (results or {}).get("metrics", {})
    known = _given(results)
    return {
        name: {**entry, "stamp": {**known, **entry["stamp"]}}
        for name, entry in metrics.items()
        if isinstance(entry, dict)
        and isinstance(entry.get("value"), int | float)
        and isinstance(entry.get("stamp"), dict)
    }


def _given(results: Json | None) -> Json:
    """What stamps do not say of themselves in older results: what the model was given."""
    model = (results or {}).get("model")
    can = model.get("capabilities") if isinstance(model, dict) else None
    conditions = can.get("conditions") if isinstance(can, dict) else None
    return {"given": given(map(str, conditions))} if isinstance(conditions, list) else {}


def _config(folder: Path) -> Json:
    for path in (folder / "config.yaml", folder / ".hydra" / "config.yaml"):
        if path.is_file():
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError) as error:
                what = " ".join(str(error).split())
                raise GenzooError(f"{path} is damaged ({what})", "run it again") from error
            return content if isinstance(content, dict) else {}
    return {}


def _own_part(config: Json, results: Json | None) -> Json:
    """A configuration without what a command does not look at: it trained no model."""
    if not _of_images(results):
        return config
    return {key: value for key, value in config.items() if key not in OF_TRAININGS}


def _of_images(results: Json | None) -> bool:
    return isinstance((results or {}).get("images"), dict)


def _curves(path: Path) -> Iterator[Json]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            point = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing
        if isinstance(point, dict):
            yield {name: v for name, v in point.items() if isinstance(v, int | float)}


def inside(folder: Path, name: object) -> Path | None:
    """A file of the gallery by its plain name; names of other folders are refused."""
    if name is None:
        return None
    plain = isinstance(name, str) and re.fullmatch(r"[^/\\\x00]+", name) is not None
    if not plain or name in (".", ".."):
        raise GenzooError(
            f"{folder / 'gallery.json'} names a file outside its folder: {name!r}", REMEDY
        )
    path = folder / str(name)
    if path.is_symlink():
        raise GenzooError(f"{path} is a link, not an image file", REMEDY)
    return path if path.is_file() else None


def _gallery_items(folder: Path, gallery: Json) -> Iterator[GalleryItem]:
    items = gallery.get("items", [])
    for item in items if isinstance(items, list) else []:
        try:
            index, caption, seed = int(item["index"]), str(item["caption"]), int(item["seed"])
            split = str(item.get("split", "validation"))  # earlier galleries held nothing else
        except (KeyError, TypeError, ValueError) as error:
            raise GenzooError(f"{folder / 'gallery.json'} is damaged ({error})", REMEDY) from error
        real, sample = inside(folder, item.get("real")), inside(folder, item.get("sample"))
        if real is not None and sample is not None:
            rebuilt = inside(folder, item.get("reconstruction"))
            yield GalleryItem(index, caption, split, seed, real, sample, rebuilt)


def _given_images(folder: Path, gallery: Json) -> Iterator[GivenImage]:
    items = gallery.get("images", [])
    for item in items if isinstance(items, list) else []:
        file = inside(folder, item.get("image")) if isinstance(item, dict) else None
        if file is not None:
            yield GivenImage(file, str(item.get("caption") or ""))


def finite(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
