"""The trained model that another one is built on: its configuration, tokenizer and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genzoo.config.objects import target
from genzoo.config.values import composed, escaped
from genzoo.core.errors import UsageError
from genzoo.models.base import GenerativeModel
from genzoo.models.parent import HasParent
from genzoo.weights import checkpoint, released, saved
from genzoo.weights.checkpoint import Checkpoint, load_into
from genzoo.weights.names import RELEASED
from genzoo.weights.scorer_sources import source_of


def family_of(cfg: DictConfig) -> type[HasParent] | None:
    """The family of a configuration, if it is built on another one."""
    family = target(cfg.model._target_)
    return family if isinstance(family, type) and issubclass(family, HasParent) else None


def with_inherited(cfg: DictConfig, family: type[HasParent]) -> DictConfig:
    """The configuration of a new model, completed from that of its parent.

    Raises:
        UsageError: where no parent is named, or one of another family.
        GenzooError: where it cannot be fetched or read.
    """
    parent, name = family.parent, cfg.model.name
    if cfg.get(parent.key) is None:
        raise UsageError(
            f"model={name} is built on {parent.noun}, and none is named",
            f"train one (model={parent.families[0]}) and name it: {parent.key}=<its run folder>",
        )
    word = str(cfg[parent.key])  # a folder may be called 2024
    source = source_of(word)
    if source is not None and not released.claimed(word):
        raise UsageError(
            f"{parent.key}={word}: {source.use}; model={name} is built on genzoo's own",
            parent.remedy,
        )
    path = _file(cfg, family)
    own = saved.admitted(checkpoint.configuration(path), path=path, own=cfg)
    settings = own["model"]
    if settings["name"] not in parent.families:
        raise UsageError(
            f"{parent.key}={word} holds model={settings['name']}, and model={name} is built on "
            f"{parent.noun}",
            parent.remedy,
        )
    values = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(values, dict)
    lasting = str(path) if source is None else source.find(word, weights_dir=cfg.weights_dir)
    values[parent.key], values["text"] = escaped(lasting), escaped(own["text"])
    values["model"] |= escaped(family.inherited_settings(settings))
    return composed(values)


def about_parent(cfg: DictConfig) -> dict[str, Any] | None:
    """The metadata of the model that a prepared configuration's is built on.

    None where it has no parent. No weights are converted.
    """
    file = _parent_file(cfg)
    return None if file is None else checkpoint.about(file)


def load_parent(cfg: DictConfig, model: GenerativeModel) -> str | None:
    """Load a new model with the weights of the one that it is built on.

    Returns:
        The name of their checkpoint; None where the family takes none over.

    Raises:
        UsageError: where their shapes differ.
    """
    file = _parent_file(cfg)
    if file is None:
        return None
    source = checkpoint.read(file)
    assert isinstance(model, HasParent)
    weights = model.inherited_weights(source.config["model"], source.ema)
    for part, values in weights.items():
        load_into(model.get_submodule(part), values, path=source.path)
    return _origin(str(cfg[model.parent.key]), source)


def _origin(word: str, source: Checkpoint) -> str | None:
    """The name of a parent's weights; of released ones it does not depend on where they lie."""
    if not source.released:
        return source.name
    return f"{word}/{source.path.name}" if word in RELEASED else source.origin


def _parent_file(cfg: DictConfig) -> Path | None:
    family = family_of(cfg)
    if family is None or cfg.get(family.parent.key) is None:
        return None
    return _file(cfg, family)


def _file(cfg: DictConfig, family: type[HasParent]) -> Path:
    """The file with the weights of the model to build on."""
    word = str(cfg[family.parent.key])
    if not released.claimed(word):
        return checkpoint.find(word, output=cfg.output)
    settings: Any = cfg.model
    return released.locate(
        word,
        key=family.parent.key,
        families=family.parent.families,
        settings=settings,
        task=cfg.task.name,
        weights_dir=cfg.weights_dir,
    )
