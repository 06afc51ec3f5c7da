"""A command's configuration on top of a checkpoint's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NewType

from omegaconf import DictConfig, OmegaConf

from genzoo.config.keys import closest, keys, typed_keys
from genzoo.config.values import copied, escaped, wrapped
from genzoo.core.errors import UsageError

# What a checkpoint decides unless the command line says otherwise; all else (task, trainer,
# logger, metrics ...) belongs to the command at hand.
FROM_CHECKPOINT = (
    "model",
    "data",
    "text",
    "optimizer",
    "ema",
    "budget",
    "seed",
    "sampler",
    "guidance",
)


# Sections of a checkpoint's configuration that went through `weights.saved.admitted`.
Admitted = NewType("Admitted", dict[str, Any])


def from_checkpoint(cfg: DictConfig, saved: Admitted, overrides: Sequence[str]) -> DictConfig:
    """The configuration of a command that names a checkpoint.

    Args:
        cfg: what Hydra composed for the command.
        saved: the configuration inside the checkpoint.
        overrides: what was typed, as Hydra lists it.

    Returns:
        `cfg` with the sections of `FROM_CHECKPOINT` taken from the checkpoint, and what was typed
        on top of them.

    Raises:
        UsageError: when another model or another size of images is typed than the checkpoint's,
            or a key that its configuration does not have.
    """
    merged, typed = copied(cfg), typed_keys(overrides)
    wanted, found = typed.get("model"), saved["model"]["name"]
    if wanted is not None and wanted != found:
        raise UsageError(
            f"the checkpoint holds model={found}, not model={wanted}",
            f"leave model= away or write model={found}",
        )
    known = sorted(keys(saved))
    for section in FROM_CHECKPOINT:
        if section in saved and (section not in typed or section == "model"):
            OmegaConf.update(merged, section, escaped(saved[section]), merge=False, force_add=True)
    if "data" not in typed:
        merged.data.cache = escaped(cfg.data.get("cache"))  # where this command writes
    size, own = typed.get("data.image_size"), saved["data"]["image_size"]
    if size not in (None, str(own)):
        raise UsageError(
            f"the model in the checkpoint is one of {own} px, not of data.image_size={size}",
            "leave data.image_size= away, or train another model",
        )
    merged.data.image_size = own  # also where other data are typed
    for key in typed:
        _check_option(cfg, saved, key)
        section = key.partition(".")[0]
        decided = section not in typed or section == "model"
        if "." in key and section in FROM_CHECKPOINT and decided:
            if key not in known:
                guess = closest(key, known)
                raise UsageError(
                    f"the checkpoint's {section} has no key {key}",
                    f"did you mean {guess}?" if guess else "see config.yaml in its run folder",
                )
            value = escaped(_selected(cfg, key))
            OmegaConf.update(merged, key, value, merge=False, force_add=True)
    own_source = "data" in typed or "data.source.root" in typed
    if "data.root" in typed and not own_source and "root" in saved["data"]["source"]:
        merged.data.source.root = escaped(merged.data.root)  # as the files in configs/data have it
    return merged


def _selected(cfg: DictConfig, key: str) -> Any:
    """A value or a section, resolved, as plain data."""
    value = OmegaConf.select(cfg, key)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _check_option(cfg: DictConfig, saved: Mapping[str, Any], key: str) -> None:
    """Refuse an option of a group within a section, such as model/process=edm, that differs."""
    group = key.partition("@")[0]
    path = group.replace("/", ".")
    if "/" not in group or path.partition(".")[0] not in FROM_CHECKPOINT:
        return
    if OmegaConf.select(cfg, path) != OmegaConf.select(wrapped(saved), path):
        raise UsageError(
            f"the checkpoint's {path} is not what {group}= asks for",
            "leave it away, or train another model",
        )
