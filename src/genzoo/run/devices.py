"""The device, the number of processes and the precision of a run.

torch is imported inside functions only: settings of the CPU have to come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from genzoo.config import second_stage
from genzoo.config.objects import target
from genzoo.core.errors import UsageError
from genzoo.machine import distributed

if TYPE_CHECKING:
    import torch

    from genzoo.core.precision import Precision


def gpu_count(asked: int | str) -> int:
    """How many GPUs on this machine a run uses.

    Raises:
        UsageError: when more are asked for than there are.
    """
    if asked == 0:
        return 0
    import torch

    there = torch.cuda.device_count()
    if asked == "auto":
        return there
    if int(asked) > there:
        have = "no GPU" if there == 0 else f"{there} GPU{'s' if there > 1 else ''}"
        instead = "trainer.gpus=0 to run on the CPU" if there == 0 else f"trainer.gpus={there}"
        raise UsageError(f"trainer.gpus={asked}, but this machine has {have}", f"write {instead}")
    return int(asked)


def gpus(cfg: DictConfig) -> int:
    """GPUs of this machine that a run's processes use; none for a task that is no training."""
    return gpu_count(cfg.trainer.gpus) if cfg.task.distributed else 0


def process_count(cfg: DictConfig) -> int:
    """Processes on this machine: one a GPU, or the configured number on the CPU."""
    return gpus(cfg) or int(cfg.trainer.processes)


def device(cfg: DictConfig) -> torch.device:
    """The device of this process."""
    import torch

    if gpu_count(cfg.trainer.gpus) == 0:
        return torch.device("cpu")
    return torch.device("cuda", distributed.local_rank())


def check_precision(cfg: DictConfig) -> None:
    """Refuse a precision that training cannot use, or that this machine lacks.

    Raises:
        UsageError: with one that works.
    """
    from genzoo.core.precision import native_bf16

    name, can = cfg.trainer.precision, "write auto, 32-true, bf16-mixed or 16-mixed"
    if name in ("bf16-true", "16-true"):
        raise UsageError(
            f"trainer.precision={name} would round the weights themselves, and most steps of "
            "training are smaller than that",
            f"write {name.replace('true', 'mixed')}",
        )
    if name not in ("auto", "32-true", "bf16-mixed", "16-mixed"):
        raise UsageError(f"there is no trainer.precision={name}", can)
    if name == "16-mixed" and cfg.strategy.name == "fsdp":
        raise UsageError(
            "strategy=fsdp cannot scale gradients, which trainer.precision=16-mixed needs",
            "write trainer.precision=bf16-mixed, or leave strategy= away",
        )
    if name == "bf16-mixed" and gpu_count(cfg.trainer.gpus) and not native_bf16():
        raise UsageError(
            "trainer.precision=bf16-mixed, and this machine's GPU has no bfloat16",
            "write trainer.precision=16-mixed",
        )


def precision(cfg: DictConfig) -> Precision:
    """How the networks of a command compute, in training and in sampling.

    Raises:
        UsageError: for a precision that cannot be used.
    """
    from genzoo.core.precision import Precision

    check_precision(cfg)
    gpus = gpu_count(cfg.trainer.gpus)
    return Precision.choose(cfg.trainer.precision, gpu=gpus > 0, tf32=cfg.trainer.tf32)


def stated_precision(cfg: DictConfig) -> str:
    """The model's precision, for stamps; a model that is `exact` has only one.

    Raises:
        UsageError: for a precision that cannot be used.
    """
    chosen = precision(cfg)
    alone = not second_stage.asked_for(cfg)  # which samples as chosen, whatever its base does
    exact = getattr(target(cfg.model._target_), "exact", False)
    return "32-true" if exact and alone else str(chosen)
