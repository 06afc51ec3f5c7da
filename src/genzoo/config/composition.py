"""What Hydra composes of the YAML files for a command line."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from genzoo.config.paths import config_dir, own_dirs
from genzoo.config.typed import quoted
from genzoo.config.values import copied

SIZE = "model/size@model"  # what Hydra calls model.size=
ENCODERS = "model/encoders@model"  # ... and model/encoders=


def _label(task: str, model: str, checkpoint: str | None) -> str:
    """What a run's folder is called; a checkpoint's model is known only once it is read."""
    return f"{task}-{model}" if task == "fit" and checkpoint is None else task


OmegaConf.register_new_resolver("label", _label, replace=True)


def search_path() -> list[str]:
    """The override that lets Hydra find the person's own folders; empty without any."""
    places = ",".join(quoted(f"file://{folder}") for folder in own_dirs())
    return [f"hydra.searchpath=[{places}]"] if places else []


def compose(*overrides: str) -> DictConfig:
    """The configuration that a command line would give, interpolations unresolved."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    overrides = (*overrides, *search_path())
    if GlobalHydra.instance().is_initialized():  # inside a running command
        cfg: DictConfig = hydra.compose("config", list(overrides))
        return cfg
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra.compose("config", list(overrides))
        return cfg


def with_size(cfg: DictConfig, *, gpus: int, typed: Sequence[str]) -> DictConfig:
    """`model.size=auto` decided: small with a GPU, tiny without; what was typed stays.

    Args:
        cfg: what Hydra composed.
        gpus: that the run uses.
        typed: overrides as Hydra lists them.
    """
    if cfg.model.get("size") != "auto":
        return cfg
    rest = [override for override in typed if not override.startswith(SIZE)]
    chosen = compose(*rest, f"{SIZE}={'small' if gpus else 'tiny'}")
    merged = copied(cfg)
    merged.model = chosen.model
    return merged
