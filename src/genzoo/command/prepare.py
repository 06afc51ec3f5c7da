"""From Hydra's configuration to a job's complete one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genzoo.config import second_stage
from genzoo.config.composition import with_size
from genzoo.config.keys import check_keys
from genzoo.config.merge import FROM_CHECKPOINT, from_checkpoint
from genzoo.config.objects import target
from genzoo.config.paths import own_dirs
from genzoo.config.schema import check_together, check_values
from genzoo.config.schema.keys import SCORERS
from genzoo.config.typed import to_type
from genzoo.config.values import escaped, plain, with_literal_captions, wrapped
from genzoo.machine import cpu, distributed
from genzoo.machine.console import status
from genzoo.machine.redaction import command
from genzoo.run.devices import process_count
from genzoo.weights import saved
from genzoo.weights.names import RELEASED

if TYPE_CHECKING:
    from genzoo.core.types import Capabilities


def prepare(cfg: DictConfig, folder: Path, *, sweep: bool) -> DictConfig:
    """The job's configuration, resolved, checked, and completed with the job's own values.

    Besides the configuration it has the section `run`: `folder`, `command`, `group` (the sweep's
    folder name, or None), `config_dirs` (the user's own), and what `genzoo.run.runfolder`
    adds.
    """
    cfg = with_literal_captions(cfg)
    # Unresolved, or text such as ${x} would be taken for an interpolation the next time.
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    assert isinstance(overrides, list)
    but = FROM_CHECKPOINT if cfg.get("checkpoint") is not None else ()
    chosen = {group.partition("@")[0] for group in HydraConfig.get().runtime.choices}
    check_keys(cfg, overrides, but=but, own_groups=chosen)
    check_values(cfg)
    remark = distributed.check_environment()
    own = {o.lstrip("+").partition("=")[0].removeprefix("cpu.") for o in overrides}
    done = cpu.apply(cfg.cpu, processes=cfg.trainer.processes, typed=own)  # before torch's import
    check_keys(cfg, overrides, but=but, own_groups=chosen, arguments=True)
    _check_launch(cfg)
    if remark is not None:
        status(remark)
    typed = [to_type(override.removeprefix("++")) for override in overrides]  # see cli.literal
    second_stage.decide(cfg, released=RELEASED)
    if cfg.checkpoint is not None:
        cfg = _on_checkpoint(cfg, overrides)
    elif cfg.task.distributed:
        cfg = _on_parent(cfg)
    _find_scorers(cfg)
    if cfg.model.get("size") == "auto" and cfg.task.distributed:  # others keep the trained size
        from genzoo.run.devices import gpu_count

        cfg = with_size(cfg, gpus=gpu_count(cfg.trainer.gpus), typed=overrides)
        status(f"model.size=auto: {cfg.model.size}")
    check_values(cfg)  # also those that came out of a checkpoint
    check_together(cfg, samples=_samples(cfg))
    values = plain(cfg)
    values["run"] = {
        "folder": str(folder.resolve()),
        "command": command(["python", "-m", "genzoo", *typed]),
        "group": folder.resolve().parent.name if sweep else None,
        "config_dirs": [str(own) for own in own_dirs()],
    }
    resolved = wrapped(values)
    if values["task"]["distributed"]:
        from genzoo.run.check import check

        check(resolved)
        if done:
            status(f"cpu: {', '.join(done)} (switches: cpu.*)")
    return resolved


def _samples(cfg: DictConfig) -> bool:
    """Whether the command's metrics need samples; otherwise nothing for sampling is loaded."""
    if cfg.task.name not in ("fit", "evaluate"):
        return True
    capabilities: Capabilities = target(cfg.model._target_).capabilities
    return capabilities.sampling is not None


def _check_launch(cfg: DictConfig) -> None:
    """Check that a launcher, if any, started as many processes as the configuration asks for."""
    if not distributed.launched():
        return
    if not cfg.task.distributed:
        distributed.check_launch(1, for_what=f"task={cfg.task.name}")
        return
    keys = [f"trainer.{name}={cfg.trainer[name]}" for name in ("gpus", "processes", "nodes")]
    asked = process_count(cfg) * cfg.trainer.nodes
    distributed.check_launch(asked, for_what=" ".join(keys))
    if asked > 1:
        where = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
        status(f"{asked} processes meet at {where}")


def _on_checkpoint(cfg: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of a command with a checkpoint, which is found or fetched."""
    from genzoo.weights import checkpoint, released

    if released.claimed(cfg.checkpoint):
        path = released.locate(
            cfg.checkpoint,
            key="checkpoint",
            families=(cfg.model.name,),
            settings=cfg.model,
            task=cfg.task.name,
            weights_dir=cfg.weights_dir,
        )
    else:
        path = checkpoint.find(cfg.checkpoint, output=cfg.output)
    found = checkpoint.configuration(path)
    admitted = saved.admitted(found, path=path, own=cfg, overrides=overrides)
    cfg = from_checkpoint(cfg, admitted, overrides)
    cfg.checkpoint = escaped(str(path))
    return cfg


def _on_parent(cfg: DictConfig) -> DictConfig:
    """The configuration of a new model, completed by the one that its family is built on, if any.

    Raises:
        UsageError: without one.
    """
    from genzoo.run import parent

    family = parent.family_of(cfg)
    return cfg if family is None else parent.with_inherited(cfg, family)


def _find_scorers(cfg: DictConfig) -> None:
    """Replace the words for scorers by what they resolve to; missing files are fetched."""
    for key in SCORERS:
        word = OmegaConf.select(cfg, key)
        if word is not None:
            from genzoo.run.scorers import find_scorer

            found = find_scorer(word, output=cfg.output, weights_dir=cfg.weights_dir)
            OmegaConf.update(cfg, key, escaped(found))
