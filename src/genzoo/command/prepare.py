"""From what Hydra composed to a job's whole configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genzoo.config.composition import with_size
from genzoo.config.keys import check_keys
from genzoo.config.merge import FROM_CHECKPOINT, from_checkpoint
from genzoo.config.objects import target
from genzoo.config.schema import check_together, check_values
from genzoo.config.typed import to_type
from genzoo.config.values import composed, escaped, plain, with_literal_captions, wrapped
from genzoo.core.errors import UsageError
from genzoo.machine import cpu, distributed
from genzoo.machine.console import say
from genzoo.machine.redaction import command
from genzoo.run.devices import process_count
from genzoo.weights import saved
from genzoo.weights.names import OPENAI

if TYPE_CHECKING:
    from genzoo.core.types import Capabilities


def prepare(cfg: DictConfig, folder: Path, *, sweep: bool) -> DictConfig:
    """The job's configuration, resolved, checked, and completed by what only this job knows.

    Besides the configuration it has the section `run`: `folder`, `command`, `group` (the sweep's
    folder name, or None), and what `genzoo.run.runfolder` adds.
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
        say(remark)
    typed = [to_type(override.removeprefix("++")) for override in overrides]  # see cli.literal
    if cfg.get("upsampler") == "auto":
        cfg.upsampler = OPENAI if cfg.checkpoint == OPENAI else None
    if cfg.checkpoint is not None:
        cfg = _on_checkpoint(cfg, overrides)
    elif cfg.model.name == "unclip":
        cfg = _on_clip(cfg)
    for section, key in ((cfg.guidance, "checkpoint"), (cfg.metrics, "clip")):
        if section.get(key) is not None:
            from genzoo.run.scorers import find_judge

            word = find_judge(section[key], output=cfg.output, weights_dir=cfg.weights_dir)
            section[key] = escaped(word)
    if cfg.model.get("size") == "auto" and cfg.task.distributed:  # others take what was trained
        from genzoo.run.devices import gpu_count

        cfg = with_size(cfg, gpus=gpu_count(cfg.trainer.gpus), typed=overrides)
        say(f"model.size=auto: {cfg.model.size}")
    check_values(cfg)  # also those that came out of a checkpoint
    check_together(cfg, samples=_samples(cfg))
    values = plain(cfg)
    values["run"] = {
        "folder": str(folder.resolve()),
        "command": command(["python", "-m", "genzoo", *typed]),
        "group": folder.resolve().parent.name if sweep else None,
    }
    resolved = wrapped(values)
    if values["task"]["distributed"]:
        from genzoo.run.check import check

        check(resolved)
        if done:
            say(f"cpu: {', '.join(done)} (switches: cpu.*)")
    return resolved


def _samples(cfg: DictConfig) -> bool:
    """Whether what a command measures draws images; what it does not measure is not loaded."""
    if cfg.task.name not in ("fit", "evaluate"):
        return True
    capabilities: Capabilities = target(cfg.model._target_).capabilities
    return capabilities.sampling is not None


def _check_launch(cfg: DictConfig) -> None:
    """Whether as many processes were started as the configuration asks for, if any were."""
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
        say(f"{asked} processes meet at {where}")


def _on_checkpoint(cfg: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of a command that names a checkpoint, which is found, or fetched."""
    from genzoo.weights import checkpoint, openai_clip
    from genzoo.weights.openai_clip import is_pair

    if cfg.checkpoint == OPENAI:
        path = _released(cfg)
    elif is_pair(cfg.checkpoint):
        path = openai_clip.in_folder(Path(cfg.checkpoint).expanduser()).image
    else:
        path = checkpoint.find(cfg.checkpoint, output=cfg.output)
    found = checkpoint.configuration(path)
    admitted = saved.admitted(found, path=path, own=cfg, overrides=overrides)
    cfg = from_checkpoint(cfg, admitted, overrides)
    cfg.checkpoint = escaped(str(path))
    return cfg


def _on_clip(cfg: DictConfig) -> DictConfig:
    """The configuration of a new unCLIP, with the shape of the CLIP that it is built on.

    Raises:
        UsageError: without one.
    """
    from genzoo.models.unclip import trained_parts
    from genzoo.run.scorers import find_judge
    from genzoo.weights import checkpoint, openai_clip, openclip
    from genzoo.weights.openai_clip import is_pair

    if cfg.clip is None:
        raise UsageError(
            "model=unclip is built on a CLIP, and none is named",
            "train one (model=clip) and name it: clip=<its run folder>",
        )
    values = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(values, dict)
    if is_pair(cfg.clip):
        word = find_judge(cfg.clip, output=cfg.output, weights_dir=cfg.weights_dir)
        values["clip"] = escaped(word)
        values["model"]["clip"] = openai_clip.arguments()
        values["text"] |= openai_clip.TEXT_SECTION
        return composed(values)
    if openclip.is_named(cfg.clip):
        raise UsageError(
            f"clip={cfg.clip}: open_clip's models guide and score; unCLIP is built on genzoo's",
            f"name a run of model=clip, or {OPENAI} for GLIDE's CLIP",
        )
    path = checkpoint.find(cfg.clip, output=cfg.output)
    own = saved.admitted(checkpoint.configuration(path), path=path)
    name = own["model"]["name"]
    if name not in ("clip", "unclip"):
        raise UsageError(
            f"clip={cfg.clip} holds model={name}, and unCLIP is built on a CLIP",
            "name a model=clip, or a model=unclip whose parts are taken over",
        )
    values["clip"], values["text"] = escaped(str(path)), escaped(own["text"])
    whole = own["model"]["clip"] if name == "unclip" else own["model"]
    shape = {k: v for k, v in whole.items() if k not in ("name", "_target_")}
    values["model"]["clip"] = escaped(shape)
    if name == "unclip":
        before = trained_parts(own["model"]["stage"], own["model"]["before"])
        values["model"]["before"] = sorted(before)
        for part in before:
            values["model"][part] = escaped(own["model"][part])
    return composed(values)


def _released(cfg: DictConfig) -> Path:
    """The file of OpenAI's network that a command asks for."""
    from genzoo.weights import openai_clip, openai_glide

    if cfg.model.name == "clip":
        return openai_clip.published(cfg.weights_dir).image
    if cfg.model.name != "glide":
        raise UsageError(
            f"nobody released a model={cfg.model.name} under checkpoint={OPENAI}",
            f"write model=glide or model=clip checkpoint={OPENAI}",
        )
    inpaint = cfg.model.inpaint or cfg.task.name == "inpaint"
    return openai_glide.published(openai_glide.Kind(cfg.model.stage, inpaint), cfg.weights_dir)
