"""A Lightning trainer from the sections `trainer`, `strategy` and `optimizer`."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig
from pytorch_lightning.plugins.precision.precision import Precision as LightningPrecision
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy

from genzoo.core.precision import Precision
from genzoo.lit.mixed import Mixed
from genzoo.machine import distributed
from genzoo.run import devices
from genzoo.run.devices import gpu_count


def build_trainer(
    cfg: DictConfig, callbacks: Sequence[pl.Callback], *, game: bool = False
) -> pl.Trainer:
    """The trainer of one rank; the ranks were started by `genzoo.command.launch`.

    Args:
        cfg: the prepared configuration.
        callbacks: in the order in which they are called.
        game: whether an `AdversarialModule` is trained, which clips and accumulates by itself, and
            of which each backward pass uses one of two networks.
    """
    gpus = gpu_count(cfg.trainer.gpus)
    # Given explicitly, or Lightning would find SLURM and start counting its tasks.
    environment: ClusterEnvironment = (
        TorchElasticEnvironment() if distributed.launched() else LightningEnvironment()
    )
    _quiet()
    trainer = pl.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=gpus or cfg.trainer.processes,
        num_nodes=cfg.trainer.nodes,
        strategy=_strategy(cfg, game),
        plugins=[environment, _plugin(devices.precision(cfg))],
        max_epochs=-1,  # the data stream has no end; the budget ends training
        gradient_clip_val=None if game else cfg.optimizer.clip,
        accumulate_grad_batches=1 if game else cfg.optimizer.accumulate,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=cfg.run.folder,
    )
    # Signals are handled by `genzoo.machine.signals`; Lightning's handler would start a collective
    # at any point of the training.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def _plugin(precision: Precision) -> LightningPrecision:
    if precision.dtype is None:
        return LightningPrecision()
    return Mixed(precision.name, precision.device)  # type: ignore[arg-type]


def _strategy(cfg: DictConfig, game: bool) -> str | Strategy:
    name: str = cfg.strategy.name
    if name == "auto":
        name = "ddp" if distributed.world() > 1 else "auto"
    if name == "ddp":
        return DDPStrategy(find_unused_parameters=game)
    if name == "fsdp":
        # FSDP2 shards every tensor by itself, so that weights and their moving average stay
        # aligned; the older FSDP flattens them together (Lightning 21414).
        return ModelParallelStrategy(
            data_parallel_size=distributed.world(),
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
        )
    return name


def _quiet() -> None:
    """Silence Lightning's warnings about what is intended."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for message in (
        "You passed in a `val_dataloader`",  # Monitor validates
        r"Found \d+ module\(s\) in eval mode",  # the moving average
        "The 'train_dataloader' does not have many workers",  # whole batches from memory
        "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # Lightning's own
    ):
        warnings.filterwarnings("ignore", message=message)
