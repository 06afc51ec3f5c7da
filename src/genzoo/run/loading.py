"""Trained models, ready to sample."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genzoo.core.errors import UsageError
from genzoo.machine.console import status
from genzoo.models.base import GenerativeModel
from genzoo.run.build import build_model
from genzoo.run.devices import gpu_count
from genzoo.weights.checkpoint import Checkpoint, load_into, read


def load_checkpoint(cfg: DictConfig) -> Checkpoint | None:
    """The checkpoint that an unfinished run resumes from, or that the configuration names."""
    word = OmegaConf.select(cfg, "run.resume") or cfg.checkpoint
    return None if word is None else read(Path(word))


def trained_model(cfg: DictConfig) -> tuple[GenerativeModel, Checkpoint]:
    """The model of a checkpoint with its averaged weights, ready to sample.

    Raises:
        UsageError: where no checkpoint is named.
    """
    checkpoint = load_checkpoint(cfg)
    if checkpoint is None:
        raise UsageError(
            f"task={cfg.task.name} needs a trained model",
            "name it: checkpoint=last, checkpoint=<run folder> or checkpoint=<file>",
        )
    model = with_averaged_weights(cfg, checkpoint)
    compiled(cfg, model)
    return model, checkpoint


def with_averaged_weights(cfg: DictConfig, checkpoint: Checkpoint) -> GenerativeModel:
    """The model of a configuration with the averaged weights of a checkpoint, for inference.

    Raises:
        UsageError: where they do not fit.
    """
    model = build_model(cfg)
    load_into(model, checkpoint.ema, path=checkpoint.path)
    return model.eval().requires_grad_(False)


def compiled(cfg: DictConfig, *models: GenerativeModel) -> None:
    """Have the networks of models compiled at their first call if `trainer.compile` says so.

    They are compiled in place: weights keep their names, and checkpoints fit either way.

    Raises:
        UsageError: for a family without such networks, or where the CPU's compiler is missing.
    """
    if not cfg.trainer.compile:
        return
    networks = [network for model in models for network in model.compilable()]
    if not networks:
        raise UsageError(
            f"model={cfg.model.name} has no network that can be compiled",
            "leave trainer.compile away",
        )
    compilers = (os.environ.get("CXX", "g++"), "clang++")
    if gpu_count(cfg.trainer.gpus) == 0 and not any(map(shutil.which, compilers)):
        raise UsageError(
            "trainer.compile=true needs a C++ compiler on the CPU, and there is none",
            "install g++, or leave trainer.compile away",
        )
    for network in networks:
        network.compile()
    status("networks are compiled when they are first used, which takes a minute or so")
