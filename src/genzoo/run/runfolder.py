"""The state of a run's folder: free, finished, or unfinished and to be resumed.

A run has finished when its command has succeeded; its config.yaml then has `run.finished`. This
holds for every task. In a folder of an earlier genzoo, a results.json means the same. What happens
when a command is given a folder with a run in it:

- it is running: refused. The process that works in a folder holds a lock on it.
- it has not finished, and the configuration is the same: a training resumes from its last
  checkpoint; a training without one, and every other task, starts anew.
- it has not finished, and the configuration differs: refused, with the differences.
- it has finished: refused; in a sweep a finished job with the same configuration is left alone.
- the folder's own checkpoint is named, and the task is fit: it resumes from there.
- a comparison of the same runs: it is written anew.
- `overwrite=true`: the earlier run's files are removed, and the run starts anew.
- it has no output, as after a mistake in the command: the run starts.
- its files are not a genzoo run's: refused, with `overwrite=true` as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genzoo.config.paths import CONFIG, LAST
from genzoo.config.renamed import with_new_names
from genzoo.config.typed import PATHS, escaped
from genzoo.core.errors import UsageError
from genzoo.core.files import write_whole
from genzoo.machine.console import status
from genzoo.run.lock import Refused

# All that tasks write into a run's folder; `overwrite=true` removes exactly these.
WRITTEN = (
    CONFIG, "results.json", "error.txt", "rank_errors.jsonl", "curves.jsonl", "curves.csv",
    "retrieval.png", "comparison.html", "comparison.md", "comparison.json", "comparison.png",
    "checkpoints/last.ckpt", "checkpoints/*.new", "gallery/gallery.json", "gallery/*-[0-9]*.png",
    "gallery/interpolation.png", "kept/samples-[0-9]*.zip", "kept/about.json",
    "progress/[0-9]*.png", ".hydra/config.yaml",
    ".hydra/overrides.yaml",
    *(f"{name}/{pattern}" for name in ("samples", "versions", "inpainted", "interpolation",
      "textdiff") for pattern in ("[0-9]*.png", "grid.png", "strip.png")),
)  # fmt: skip


# Those of them that exist before a task has started.
FIRST = (CONFIG, "error.txt", "rank_errors.jsonl", ".hydra/config.yaml", ".hydra/overrides.yaml")


# Any one of these identifies a run's folder.
RESULTS = ("results.json", str(LAST), "curves.jsonl")


# Keys that name files and folders that a command writes, or that hold nothing of a run.
NOT_READ = ("data.cache", "file", "hydra.run.dir", "metrics.weights.*", "output", "weights_dir")
# Keys that may name files and folders that a command reads, besides what a family is built on.
READ = (*(key for key in PATHS if key not in NOT_READ), "prompt", "end_prompt")


# Keys that do not change a run's results.
APART = ("run", "overwrite", "debug", "output", "logger", "cpu", "weights_dir")


def begin(cfg: DictConfig) -> bool:
    """Start a run in the folder, or refuse to, by the rule above.

    `cfg.run.resume` is set to the folder's checkpoint that an unfinished training resumes from,
    and config.yaml is written.

    Args:
        cfg: the prepared configuration.

    Returns:
        False for a job of a sweep that has finished before and is left alone.

    Raises:
        Refused: with the folder's state and what to type instead.
    """
    folder = Path(cfg.run.folder)
    last = folder / LAST
    cfg.run.resume, cfg.run.finished = None, False
    own = cfg.checkpoint is not None and Path(cfg.checkpoint) == last.resolve()
    of_a_run = _of_a_run(folder)
    if of_a_run and not _by_genzoo(folder):
        raise Refused(f"{folder} holds files that no genzoo run wrote", "choose another folder")
    if cfg.overwrite and of_a_run:
        if own or _needed(folder, cfg):
            raise Refused(
                f"overwrite=true would remove what the command needs from {folder}",
                "write to another folder",
            )
        clear(folder)
    elif of_a_run:
        fit = cfg.task.name == "fit"
        worked = finished(folder) or any(_written(folder, but=FIRST))
        if worked and not (own and fit) and not _same(cfg, _saved(folder), folder):
            return False
        if fit and last.exists() and not finished(folder):
            cfg.run.resume = escaped(str(last))
            status(f"{folder} holds this run, unfinished: it resumes from its last checkpoint")
        elif fit and not own:
            status(f"{folder} holds this run, unfinished and without a checkpoint: it starts anew")
    if of_a_run or cfg.run.group is not None:  # only jobs of sweeps write one
        (folder / "error.txt").unlink(missing_ok=True)
    save(cfg)
    return True


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Restore a finished run's config.yaml where the command turns out to be mistyped.

    Some errors are found only when the data are opened or the budget is read, after `begin`.
    """
    config = folder / CONFIG
    text = config.read_text(encoding="utf-8") if finished(folder) and config.exists() else None
    before = _written_at(folder / LAST)
    try:
        yield
    except UsageError:
        if text is not None and before is not None and _written_at(folder / LAST) == before:
            write_whole(config, text)
        raise


def _written_at(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def save(cfg: DictConfig) -> None:
    """Write config.yaml, as plain YAML that `genzoo.config.values.read` reads."""
    write_whole(Path(cfg.run.folder) / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))


def end(cfg: DictConfig) -> None:
    """Mark the run as finished in its config.yaml."""
    cfg.run.finished = True
    save(cfg)


def finished(folder: Path) -> bool:
    """Whether the run in a folder has finished; False where there is none."""
    state = (_saved(folder).get("run") or {}).get("finished")
    return (folder / "results.json").exists() if state is None else bool(state)


def clear(folder: Path) -> None:
    """Remove a run's files from its folder, and nothing else there."""
    for file in list(_written(folder)):
        file.unlink()
    for name in {Path(pattern).parent for pattern in WRITTEN} - {Path()}:
        with contextlib.suppress(OSError):  # missing, or with the user's own files
            (folder / name).rmdir()


def _written(folder: Path, *, but: tuple[str, ...] = ()) -> Iterator[Path]:
    """Files of a run in its folder, without those of some patterns."""
    for pattern in WRITTEN:
        if pattern not in but:
            yield from folder.glob(pattern)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Keys that two configurations both have, with other values, as they would be typed.

    A key that only one of them has belongs to another version of genzoo, or to a part whose
    name differs.
    """
    found = []
    for key in before.keys() & now.keys() - (set() if prefix else set(APART)):
        old, new = before[key], now[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}={_word(new)} (there: {_word(old)})")
    return sorted(found)


def _same(cfg: DictConfig, saved: Mapping[str, Any], folder: Path) -> bool:
    """Whether the folder's run is this one, to be started or resumed.

    Returns:
        False for a finished job of a sweep.

    Raises:
        Refused: for any other one, and for a finished one.
    """
    now = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(now, dict)
    if _lies_at(saved.get("checkpoint"), folder):  # it has resumed from itself before
        now = {key: value for key, value in now.items() if key != "checkpoint"}
    other = differences(saved, {str(key): value for key, value in now.items()})
    same = bool(saved) and not other
    if same and cfg.task.name == "compare":
        return True
    task = (saved.get("task") or {}).get("name", "fit")
    what = f"a run of task={task}" if saved else "what another run left"
    further = f"checkpoint={folder} hydra.run.dir={folder}" if (folder / LAST).exists() else None
    if finished(folder) or not saved:
        if same and cfg.run.group is not None:
            status(f"{folder.name} has finished before and is left alone")
            return False
        further = further and f"train it further with {further} budget.images=..."
        raise Refused(
            f"{folder} holds {what.replace('a run', 'a finished run')}", _remedy(cfg, further)
        )
    if not same:
        shown = ", ".join(other[:4]) + (f" and {len(other) - 4} more" if len(other) > 4 else "")
        further = f"go on with it by {further}" if further and task == "fit" else None
        raise Refused(
            f"{folder} holds {what} that has not finished, with another configuration: {shown}",
            _remedy(cfg, further),
        )
    return True


def _remedy(cfg: DictConfig, further: str | None) -> str:
    clearing = None if _needed(Path(cfg.run.folder), cfg) else "clear it with overwrite=true"
    return ", ".join(part for part in (further, clearing, "or choose another folder") if part)


def _saved(folder: Path) -> dict[str, Any]:
    """The configuration of the run in a folder; empty where there is none that can be read."""
    try:
        found = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return with_new_names(found) if isinstance(found, dict) else {}


def _needed(folder: Path, cfg: DictConfig) -> bool:
    """Whether the command reads files in its folder that would be removed."""
    if cfg.task.name == "compare":
        return _of_a_run(folder) and (_saved(folder).get("task") or {}).get("name") != "compare"
    from genzoo.run.parent import family_of  # which imports torch

    family = family_of(cfg)
    read = READ if family is None else (*READ, family.parent.key)
    return any(_overlap(OmegaConf.select(cfg, key), folder) for key in read)


def _overlap(word: Any, folder: Path) -> bool:
    """Whether an existing file or folder lies below the run's folder, or contains it."""
    if not isinstance(word, str):
        return False
    try:
        path, place = Path(word).expanduser().resolve(), folder.resolve()
        below = path.is_relative_to(place) or (path.is_dir() and place.is_relative_to(path))
        return below and path.exists()
    except (OSError, ValueError, RuntimeError):  # a caption, and no path at all
        return False


def _of_a_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CONFIG, *RESULTS))


def _by_genzoo(folder: Path) -> bool:
    """Whether a folder's config.yaml is that of a run; an earlier genzoo's has no `run`."""
    if not (folder / CONFIG).exists():  # the rest of a run
        return True
    saved = _saved(folder)
    parts = ("task", "run", "model")
    task, *others = (isinstance(saved.get(part), Mapping) for part in parts)
    return task and any(others)


def _lies_at(word: Any, folder: Path) -> bool:
    """Whether a word names the folder's own checkpoint."""
    if not isinstance(word, str):
        return False
    return Path(word).expanduser().resolve() == folder.resolve() / LAST


def _word(value: Any) -> str:
    """A value as it would be typed."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
