"""From a composed configuration to running processes.

Lightning's own launcher starts its children with the parent's command line; under a Hydra
multirun each child would start the whole sweep again and hang (Lightning 18175). Here the job's
configuration is resolved and saved once, and torch's elastic agent starts one process a rank,
each of which reads that file. If one dies, the agent ends the others.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genzoo.command.failures import RANK_ERRORS, failure, rank_errors
from genzoo.config import paths
from genzoo.config.objects import target
from genzoo.machine import distributed
from genzoo.machine.signals import ENDING, Interrupted
from genzoo.run import runfolder
from genzoo.run.devices import gpus, process_count

# Seconds that ranks have after a signal to write their checkpoint. Schedulers give less, and end
# them themselves. Torch 2.11 has no such setting and gives 30, which is enough for most: the
# checkpoint is written first.
ENOUGH = "300"


def run(cfg: DictConfig) -> dict[str, float]:
    """Run a prepared job, in as many processes as its configuration asks for.

    Returns:
        Its metrics by name.

    Raises:
        Refused: where its folder holds another run.
    """
    with runfolder.kept(Path(cfg.run.folder)):
        return _run(cfg)


def _run(cfg: DictConfig) -> dict[str, float]:
    first = distributed.rank() == 0
    begun = runfolder.begin(cfg) if first else True
    if distributed.launched():  # by torchrun: the ranks use the first one's folder
        distributed.join(gpu=gpus(cfg) > 0)
        begun, cfg.run = distributed.from_first((begun, OmegaConf.to_container(cfg.run)))
    if not begun:
        return _numbers(Path(cfg.run.folder) / "results.json")
    processes = process_count(cfg)
    if cfg.task.distributed and processes > 1 and not distributed.launched():
        values = _spawn(Path(cfg.run.folder) / paths.CONFIG, processes)
    else:
        values = target(cfg.task._target_)(cfg.copy())
    if first:
        runfolder.end(cfg)
    return values


def _spawn(config: Path, processes: int) -> dict[str, float]:
    """Start the ranks, wait for them, and turn a failed rank into its own error.

    A signal raises `Interrupted` in the agent, which then ends the ranks by SIGTERM and waits for
    their checkpoint; a second Ctrl-C ends this process at once, and with it the ranks.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", ENOUGH)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # its failures are reported below
            logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        max_restarts=0,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        run_id=str(os.getpid()),
        monitor_interval=0.2,
        signals_to_handle="",  # the agent's handlers would ignore the second Ctrl-C
    )
    error_file = config.parent / RANK_ERRORS
    error_file.unlink(missing_ok=True)
    os.environ[distributed.PARENT] = str(os.getpid())
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # the ranks log a lost one at length
    try:
        elastic_launch(settings, sys.executable)("-m", "genzoo.command.rank", str(config))
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        first, _ = error.get_first_failure()
        if codes[first] - 128 in ENDING:  # the ranks themselves got a signal
            raise Interrupted(codes[first] - 128) from error
        raise failure(codes, rank_errors(error_file), first, processes) from error
    finally:
        os.environ.pop(distributed.PARENT, None)
    results = config.parent / "results.json"
    return _numbers(results)


def _numbers(results: Path) -> dict[str, float]:
    import json

    if not results.exists():  # a task that measures nothing
        return {}
    metrics: dict[str, Any] = json.loads(results.read_text())["metrics"]
    return {name: entry["value"] for name, entry in metrics.items()}
