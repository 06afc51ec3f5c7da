"""Validation of configurations from checkpoints, which may come from untrusted sources.

There are two kinds of configuration. The command line and the YAML files of genzoo and the user
are trusted: interpolations in them are resolved, and they may name any class. The configuration in
a checkpoint is data: no `${...}` in it is resolved (`values.wrapped`), it may name only classes of
genzoo, models of the user's own folders and classes that the command itself chooses, each only
where one belongs, and it decides neither where files are written nor what is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genzoo.config.keys import typed_keys
from genzoo.config.merge import FROM_CHECKPOINT, Admitted
from genzoo.config.paths import config_dir, own_dirs
from genzoo.config.values import wrapped
from genzoo.core.errors import UsageError
from genzoo.machine.console import status
from genzoo.weights.names import FETCHED, FOR_GUIDANCE

# The keys at which a saved configuration names a class, and the config group of the allowed ones.
# Within a model also keys that are named like a group of parts: `configs/model/process`.
SLOTS = {
    "model": "model",
    "data": "data",
    "data.source": "data",
    "sampler": "sampler",
    "guidance": "guidance",
}
WITHIN = {"model": "model", "data.source": "source"}  # the key in such a file, where it has one
DEEPEST, MOST = 32, 100_000  # levels and values of a configuration


def classes(place: str) -> frozenset[str]:
    """The classes that a saved configuration may name there; none where no class belongs.

    Those of the files in genzoo's configs/; of models also those in the user's own folders, which
    the command names. Any other class of the user's has to be chosen by the command: a file from
    others must not call it.
    """
    group, within = SLOTS.get(place), WITHIN.get(place)
    if group is None and place.startswith("model."):
        part = place.rpartition(".")[2]
        group = f"model/{part}" if part in _parts() else None
    if group is None:
        return frozenset()
    folders = [config_dir(), *(own_dirs() if place == "model" else [])]
    return frozenset().union(*(_classes(folder / group, within) for folder in folders))


@cache
def _parts() -> frozenset[str]:
    """Groups of parts of models: `process`, `arch` ..."""
    return frozenset(entry.name for entry in (config_dir() / "model").iterdir() if entry.is_dir())


@cache
def _classes(folder: Path, within: str | None) -> frozenset[str]:
    found = set()
    for file in folder.glob("*.yaml"):
        try:
            node = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UsageError(
                f"{file} is no YAML file ({' '.join(str(error).split())[:200]})",
                "correct it, or move it out of the folder",
            ) from error
        section = node
        if isinstance(node, dict) and within is not None:
            # A file of a model may be the section `model` itself (Hydra's default package).
            section = node.get(within, node if within == "model" else None)
        if isinstance(section, dict) and "_target_" in section:
            found.add(str(section["_target_"]))
    return frozenset(found)


def examined(config: object, *, path: Path) -> dict[str, Any]:
    """The configuration from a file, checked to be plain data with the required keys.

    Raises:
        UsageError: if it is not.
    """
    if not isinstance(config, dict):
        raise _odd(path, "is none")
    if sum(1 for _ in islice(_values(config, path), MOST)) == MOST:
        raise _odd(path, f"has more than {MOST:,} values")
    for section in FROM_CHECKPOINT:
        if section != "seed" and not isinstance(config.get(section), dict):
            raise _odd(path, f"has no section {section}")
    model, data = config["model"], config["data"]
    source = data.get("source")
    if not isinstance(source, dict) or not all("_target_" in s for s in (model, data, source)):
        raise _odd(path, "names no model or no data")
    for section in (model, data, config["sampler"], config["guidance"]):
        name = section.get("name")
        if not isinstance(name, str) or not name.isprintable():
            raise _odd(path, f"has the name {name!r} in it")
    for number in (data.get("image_size"), config.get("seed")):
        if not isinstance(number, int) or isinstance(number, bool):
            raise _odd(path, "has no whole numbers as data.image_size and seed")
    return config


def admitted(
    config: Mapping[str, Any],
    *,
    path: Path,
    own: DictConfig | None = None,
    overrides: Sequence[str] = (),
) -> Admitted:
    """The part of a saved configuration that a command may take over, after all checks.

    Args:
        config: as `examined` returned it.
        path: of the file that it comes from.
        own: the command's own configuration, which may name the user's own classes.
        overrides: the typed ones, as Hydra lists them.

    Raises:
        UsageError: for a class that is not genzoo's, unless the command names it as well; for one
            where none belongs; for weights that would have to be fetched but were not typed.
    """
    typed = typed_keys(overrides)
    kept = {section: config[section] for section in FROM_CHECKPOINT if section in config}
    for place, named in _named(kept):
        if f"{place}._target_" in typed or place in typed.keys() - {"model"}:
            continue  # replaced by the user's own
        known = classes(place)
        if not known:
            raise UsageError(
                f"{path} names a class at {place}, where none belongs ({named!r})",
                "it may be malicious, or of another program: do not use it",
            )
        mine = None if own is None else OmegaConf.select(own, f"{place}._target_")
        if named != mine and (not isinstance(named, str) or named not in known):
            folder = ", or the folder of its YAML file: --config-dir=..."
            folder = folder if place == "model" else ""
            raise UsageError(
                f"{path} names the class {named!r} at {place}, which is not one of genzoo's",
                f"if it is yours, name it as well: {place}._target_=...{folder}",
            )
    _nothing_fetched(kept, typed, path)
    return Admitted(_written_elsewhere(kept, typed))


def configuration(config: Mapping[str, Any], *, path: Path) -> DictConfig:
    """A saved configuration by itself, for a model that a command names beside its own.

    Raises:
        UsageError: as `admitted`.
    """
    return wrapped(admitted(config, path=path))


def _nothing_fetched(kept: Mapping[str, Any], typed: Mapping[str, str], path: Path) -> None:
    word = kept.get("guidance", {}).get("checkpoint")
    if word is None or {"guidance", "guidance.checkpoint"} & typed.keys():
        return
    if not isinstance(word, str) or word.startswith(FETCHED):
        raise UsageError(
            f"{path} asks for guidance by {word!r}, which has to be downloaded",
            f"type it to have it fetched: guidance.checkpoint={FOR_GUIDANCE}, or write "
            "guidance=none",
        )


def _written_elsewhere(kept: dict[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Without the cache folder of another machine."""
    if "data" not in kept or "data" in typed:
        return kept
    cache_folder = kept["data"].get("cache")
    if cache_folder is not None and "data.cache" not in typed:
        status(f"the data.cache={cache_folder!r} of the checkpoint is not used; type it to use it")
    return {**kept, "data": {**kept["data"], "cache": None}}


def _named(tree: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Every place at which a class is named, and its name."""
    if isinstance(tree, Mapping):
        if "_target_" in tree:
            yield place, tree["_target_"]
        for key, value in tree.items():
            yield from _named(value, f"{place}.{key}" if place else key)
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _named(value, f"{place}[{number}]")


def _values(tree: object, path: Path, depth: int = 0) -> Iterator[object]:
    """Every value; an error for anything but plain data, or for cycles."""
    if depth > DEEPEST:
        raise _odd(path, "is nested too deep")
    if isinstance(tree, dict):
        if not all(isinstance(key, str) for key in tree):
            raise _odd(path, "has keys that are no text")
        inner = list(tree.values())
    elif isinstance(tree, list):
        inner = tree
    elif tree is None or isinstance(tree, str | int | float):
        yield tree
        return
    else:
        raise _odd(path, f"holds a {type(tree).__name__}")
    for value in inner:
        yield from _values(value, path, depth + 1)


def _odd(path: Path, how: str) -> UsageError:
    return UsageError(f"the configuration in {path} {how}", "name a checkpoint that genzoo wrote")
