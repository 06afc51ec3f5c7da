"""A configuration as plain data, and plain data as a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from genzoo.config.typed import CAPTIONS, unresolved
from genzoo.config.typed import escaped as escaped_text

TEMPLATES = "templates"  # of data: more captions


def escaped(values: Any) -> Any:
    """Plain data of which OmegaConf takes no part for an interpolation: `${` stays text."""
    return _each_text(escaped_text, values)


def _each_text(change: Callable[[str], str], values: Any) -> Any:
    if isinstance(values, Mapping):
        return {key: _each_text(change, value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_each_text(change, value) for value in values]
    return change(values) if isinstance(values, str) else values


def wrapped(values: Mapping[str, Any]) -> DictConfig:
    """Plain data as a configuration, every text in it as it is."""
    return composed(escaped(values))


def composed(values: Any) -> DictConfig:
    """A configuration of the person's own out of its parts, interpolations and all."""
    cfg = OmegaConf.create(values)
    assert isinstance(cfg, DictConfig)
    return cfg


def copied(cfg: DictConfig) -> DictConfig:
    """A configuration with the same interpolations, to which keys can be added."""
    return composed(OmegaConf.to_container(cfg, resolve=False))


def with_literal_captions(cfg: DictConfig) -> DictConfig:
    """A command's configuration in which captions are free text: `${` in them is no interpolation.

    Args:
        cfg: what Hydra composed.
    """
    tree = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(tree, dict)
    data = tree.get("data")  # taken away, or a value, it is complained of later
    sections = [data] if isinstance(data, dict) else []
    for section, key in (*((tree, key) for key in CAPTIONS), *((s, TEMPLATES) for s in sections)):
        if key in section:
            section[key] = _each_text(unresolved, section[key])
    return composed(tree)


def read(path: Path) -> DictConfig:
    """The configuration in a run's folder; no text in it is resolved.

    Raises:
        OSError, yaml.YAMLError: where it cannot be read.
    """
    return wrapped(yaml.safe_load(path.read_text(encoding="utf-8")))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as resolved plain data, as checkpoints and run folders keep it."""
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}
