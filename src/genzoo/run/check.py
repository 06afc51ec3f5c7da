"""Checks of a configuration, before anything is loaded or trained."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from genzoo.config.composition import compose
from genzoo.config.objects import target
from genzoo.config.paths import groups
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.types import Capabilities
from genzoo.machine import distributed
from genzoo.run.devices import check_precision, gpu_count

if TYPE_CHECKING:
    from genzoo.models.base import GenerativeModel

# Why some of Lightning's strategies cannot train every model.
REASONS = {
    "fsdp": "sharding works with one optimiser, and this model has two",
}


def check(cfg: DictConfig) -> None:
    """Refuse a configuration that cannot work, with one line.

    Raises:
        UsageError: for GPUs that are not there, a strategy or guidance that the model cannot do,
            or a folder that cannot be written.
    """
    gpus = gpu_count(cfg.trainer.gpus)
    capabilities: Capabilities = target(cfg.model._target_).capabilities
    _check_model(cfg, gpus)
    _check_processes(cfg, gpus)
    _check_strategy(cfg, capabilities, gpus)
    check_precision(cfg)
    check_sampling(cfg)
    writable(Path(cfg.run.folder))


def writable(folder: Path) -> None:
    """Create a folder and check that files can be written to it.

    Raises:
        UsageError: when they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}",
            "choose another folder with output=... or hydra.run.dir=...",
        ) from error


def _check_model(cfg: DictConfig, gpus: int) -> None:
    """Check the family's settings, the images' size and the batches."""
    family: type[GenerativeModel] = target(cfg.model._target_)
    settings = OmegaConf.to_container(cfg.model, resolve=True)
    assert isinstance(settings, dict)
    own = {str(key): value for key, value in settings.items()}
    family.check_settings(own)
    unit, size = math.lcm(*_size_units(own)), cfg.data.image_size
    if size % unit:
        fitting = sorted({max(1, size // unit) * unit, (size // unit + 1) * unit})
        raise UsageError(
            f"model={cfg.model.name} needs images of sides divisible by {unit}, and "
            f"data.image_size={size} is not",
            f"write data.image_size={' or '.join(map(str, fitting))}",
        )
    if cfg.task.name == "fit":
        family.check_batches(
            own,
            batch=cfg.optimizer.batch_size,
            accumulate=cfg.optimizer.accumulate,
            processes=(gpus or cfg.trainer.processes) * cfg.trainer.nodes,
        )


def _size_units(node: Mapping[str, Any]) -> Iterator[int]:
    """The divisors of sizes of every part of a model's section that has one."""
    if "_target_" in node:
        unit = getattr(target(node["_target_"]), "size_unit", None)
        yield 1 if unit is None else unit(node)
    for inner in node.values():
        if isinstance(inner, Mapping):
            yield from _size_units(inner)


def _check_processes(cfg: DictConfig, gpus: int) -> None:
    if cfg.trainer.processes > 1 and gpus > 0:
        raise UsageError(
            f"trainer.processes={cfg.trainer.processes} is for CPUs, and {gpus} GPU(s) are in use",
            "write trainer.gpus=0 as well, or leave trainer.processes away",
        )
    if cfg.trainer.nodes > 1 and not distributed.launched():
        raise UsageError(
            f"trainer.nodes={cfg.trainer.nodes} needs a process on every machine",
            "start it with torchrun --nnodes ... -m genzoo ...",
        )
    world = (gpus or cfg.trainer.processes) * cfg.trainer.nodes
    if cfg.optimizer.batch_size % world:
        raise UsageError(
            f"optimizer.batch_size={cfg.optimizer.batch_size} cannot be shared equally by "
            f"{world} processes",
            "choose a multiple",
        )


def _check_strategy(cfg: DictConfig, capabilities: Capabilities, gpus: int) -> None:
    name = cfg.strategy.name
    if name not in capabilities.strategies:
        reason = f" ({REASONS[name]})" if name in REASONS else ""
        raise UsageError(
            f"model={cfg.model.name} cannot be trained with strategy={name}{reason}",
            f"use one of {', '.join(sorted(capabilities.strategies))}",
        )
    if name == "fsdp" and (gpus or cfg.trainer.processes) * cfg.trainer.nodes < 2:
        raise UsageError(
            "strategy=fsdp shards over several processes, and there is one",
            "ask for more with trainer.gpus= or trainer.processes=, or leave strategy= away",
        )


def check_sampling(cfg: DictConfig) -> None:
    """Refuse a guidance or a sampler that the model does not support.

    Raises:
        UsageError: with those that it supports.
    """
    capabilities: Capabilities = target(cfg.model._target_).capabilities
    name = cfg.guidance.name
    if name != "none" and name not in capabilities.guidance:
        can = ", ".join(sorted({"none", *capabilities.guidance}))
        raise UsageError(f"model={cfg.model.name} has no guidance={name}", f"it can do: {can}")
    if name == "classifier" and cfg.guidance.checkpoint is None:
        raise UsageError(
            "guidance=classifier needs a classifier or another scorer, and none is named",
            f"train one ({' or '.join(guiding())}) and name it: "
            "guidance.checkpoint=<its run folder>",
        )
    if cfg.sampler.name != "none" and not capabilities.samplers:
        raise UsageError(
            f"model={cfg.model.name} samples in one step and has no sampler={cfg.sampler.name}",
            "leave sampler= away",
        )
    steps, process = cfg.sampler.get("steps"), cfg.model.get("process")
    if isinstance(steps, str) and process is not None and "steps" in process:
        from genzoo.diffusion.schedule import respace

        respace(process.steps, steps)


def guiding() -> list[str]:
    """The command lines that train a model for guidance, by the families' capabilities."""
    from genzoo.models.scoring import ScoringModel

    families = [target(compose(f"model={name}").model._target_) for name in groups()["model"]]
    return [f.to_guide for f in families if isinstance(f, type) and issubclass(f, ScoringModel)]


def check_able(cfg: DictConfig, what: str, able: Callable[[Capabilities], bool]) -> None:
    """Refuse a command that the family of models cannot carry out.

    Args:
        cfg: the prepared configuration.
        what: the request, to follow "model=... cannot".
        able: whether a family's capabilities suffice.

    Raises:
        Unsupported: with the families that can.
    """
    if able(target(cfg.model._target_).capabilities):
        return
    raise Unsupported(
        f"model={cfg.model.name} cannot {what}",
        f"name a checkpoint of one that can: {', '.join(families(able))}",
    )


def families(able: Callable[[Capabilities], bool]) -> list[str]:
    """The families of models, as `model=...`, whose capabilities suffice for something."""
    return [
        f"model={name}"
        for name in groups()["model"]
        if able(target(compose(f"model={name}").model._target_).capabilities)
    ]


def check_captions(cfg: DictConfig, *names: str) -> None:
    """Refuse captions for a family that is not conditioned on any.

    Args:
        cfg: the prepared configuration.
        names: keys that may hold captions.

    Raises:
        UsageError: names the first one that does.
    """
    if "text" in target(cfg.model._target_).capabilities.conditions:
        return
    for name in names:
        if cfg[name] is not None:
            raise UsageError(f"model={cfg.model.name} reads no captions", f"leave {name}= away")


def check_given(cfg: DictConfig, **examples: str) -> None:
    """Refuse a command that lacks a part.

    Args:
        cfg: the prepared configuration.
        examples: keys that must be given, with an example value each.

    Raises:
        UsageError: names the first one that is missing.
    """
    for name in examples:
        if cfg[name] is None:
            raise UsageError(
                f"task={cfg.task.name} needs {name}=",
                "give " + " ".join(f"{key}={value}" for key, value in examples.items()),
            )
