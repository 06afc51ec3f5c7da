"""From a composed configuration to running processes.

Lightning's own launcher starts its children with the parent's command line; under a Hydra
multirun each child would start the whole sweep again and hang (Lightning 18175). Here the job's
configuration is resolved and saved once, and torch's elastic agent starts one process a rank,
each of which reads that file. If one dies, the agent ends the others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from genzoo import cpu, distributed, runfolder, saved, signals
from genzoo.config import (
    FROM_CHECKPOINT,
    OPENAI,
    check_keys,
    composed,
    escaped,
    from_checkpoint,
    plain,
    read,
    target,
    with_literal_captions,
    with_size,
    wrapped,
)
from genzoo.console import label, say
from genzoo.door import Parser
from genzoo.errors import GenzooError, UsageError, printable
from genzoo.files import write_whole
from genzoo.handed import command
from genzoo.runfolder import Refused, locked
from genzoo.schema import check_together, check_values
from genzoo.signals import ENDING, Interrupted
from genzoo.typed import to_type

if TYPE_CHECKING:
    from genzoo.types import Capabilities

RANK_ERRORS = "rank_errors.jsonl"
# What gloo and NCCL say when another rank is gone.
LOST = ("connection closed", "connection reset", "connection refused", "broken pipe",
        "remote process exited", "nccl communicator was aborted")  # fmt: skip
ERROR = "error.txt"  # in the folder of a job that failed in a sweep
# Seconds that ranks have after a signal to write their checkpoint. Schedulers, who give less, end
# them by themselves. Torch 2.11 knows of no such setting and gives 30, which is enough for most:
# the checkpoint is written first of all.
ENOUGH = "300"


class Failures:
    """What went wrong in the jobs of this command.

    Hydra prints a line of its own for a job that raises; so no job does, and the command line
    looks here afterwards.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.status = 0

    def clear(self) -> None:
        """Forget what an earlier command in this process left."""
        self.error, self.status = None, 0

    def add(self, error: Exception, *, folder: Path) -> None:
        """A job of a sweep failed: say so, keep the line in its folder, go on with the next."""
        known = isinstance(error, GenzooError)
        line = str(error) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
        line = printable(line)
        if not isinstance(error, Refused) and not runfolder.finished(folder):
            with contextlib.suppress(OSError):
                (folder / ERROR).write_text(line + "\n", encoding="utf-8")
        print(f"genzoo: {folder.name}: {line}", file=sys.stderr)  # noqa: T201
        self.status = max(self.status, error.status if isinstance(error, GenzooError) else 1)

    def collect(self, sweep: Path, *, since: float) -> None:
        """Jobs that a launcher ran in other processes: their folders say how they ended.

        Args:
            sweep: the sweep's folder.
            since: when it began, as files' times count; what failed before was another command's.
        """
        if any(file.stat().st_mtime >= since for file in sweep.rglob(ERROR)):
            self.status = max(self.status, 1)


failures = Failures()


def job(cfg: DictConfig) -> dict[str, float] | None:
    """Run one job of a single run or of a sweep; a failed job does not end the sweep."""
    # Unresolved: it has been resolved once, and may hold ${ since.
    runtime = OmegaConf.to_container(HydraConfig.get().runtime, resolve=False)
    assert isinstance(runtime, dict)
    folder = Path(runtime["output_dir"])
    sweep = HydraConfig.get().mode.name == "MULTIRUN"
    if sweep and not HydraConfig.get().launcher._target_.endswith("BasicLauncher"):
        label(folder.name)  # others may speak at the same time
    try:
        with _held(folder):
            _keep_composed(cfg, folder)
            return run(prepare(cfg, folder, sweep=sweep))
    except Exception as error:
        if isinstance(interrupted := signals.after(error), Interrupted):
            raise interrupted from error
        if sweep and cfg.debug != "traceback":
            failures.add(error, folder=folder)
        else:
            failures.error = error
        return None


def _held(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The run's folder, held by the process that starts the others, or by the first of them."""
    return contextlib.nullcontext() if distributed.rank() else locked(folder)


def _keep_composed(cfg: DictConfig, folder: Path) -> None:
    """What Hydra composed, for a job that comes no further than this; nothing in a used folder."""
    if distributed.rank() or (folder / runfolder.CONFIG).exists():
        return
    place = folder / ".hydra"
    place.mkdir(exist_ok=True)
    write_whole(place / "config.yaml", OmegaConf.to_yaml(cfg))
    write_whole(place / "overrides.yaml", OmegaConf.to_yaml(HydraConfig.get().overrides.task))


def prepare(cfg: DictConfig, folder: Path, *, sweep: bool) -> DictConfig:
    """The job's configuration, resolved, checked, and completed by what only this job knows.

    Besides the configuration it has the section `run`: `folder`, `command`, `group` (the sweep's
    folder name, or None), and what `genzoo.runfolder` adds.
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
            from genzoo.build import find_judge

            word = find_judge(section[key], output=cfg.output, weights_dir=cfg.weights_dir)
            section[key] = escaped(word)
    if cfg.model.get("size") == "auto" and cfg.task.distributed:  # others take what was trained
        from genzoo.check import gpu_count

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
        from genzoo.check import check

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
    from genzoo import checkpoint, released_clip
    from genzoo.build import is_pair

    if cfg.checkpoint == OPENAI:
        path = _released(cfg)
    elif is_pair(cfg.checkpoint):
        path = released_clip.in_folder(Path(cfg.checkpoint).expanduser()).image
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
    from genzoo import checkpoint, openclip, released_clip
    from genzoo.build import find_judge, is_pair
    from genzoo.models.unclip import trained_parts

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
        values["model"]["clip"] = released_clip.arguments()
        values["text"] |= released_clip.TEXT_SECTION
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
    from genzoo import released, released_clip

    if cfg.model.name == "clip":
        return released_clip.published(cfg.weights_dir).image
    if cfg.model.name != "glide":
        raise UsageError(
            f"nobody released a model={cfg.model.name} under checkpoint={OPENAI}",
            f"write model=glide or model=clip checkpoint={OPENAI}",
        )
    inpaint = cfg.model.inpaint or cfg.task.name == "inpaint"
    return released.published(released.Kind(cfg.model.stage, inpaint), cfg.weights_dir)


def run(cfg: DictConfig) -> dict[str, float]:
    """Carry out a prepared job, in as many processes as it asks for.

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
    if distributed.launched():  # by torchrun: each rank composed its own folder, the first counts
        distributed.join(gpu=_gpus(cfg) > 0)
        begun, cfg.run = distributed.from_first((begun, OmegaConf.to_container(cfg.run)))
    if not begun:
        return _numbers(Path(cfg.run.folder) / "results.json")
    processes = process_count(cfg)
    if cfg.task.distributed and processes > 1 and not distributed.launched():
        values = _spawn(Path(cfg.run.folder) / runfolder.CONFIG, processes)
    else:
        values = target(cfg.task._target_)(cfg.copy())
    if first:
        runfolder.end(cfg)
    return values


def process_count(cfg: DictConfig) -> int:
    """Processes on this machine: one a GPU, or as many as the CPU is asked to run."""
    return _gpus(cfg) or int(cfg.trainer.processes)


def _gpus(cfg: DictConfig) -> int:
    from genzoo.check import gpu_count

    return gpu_count(cfg.trainer.gpus) if cfg.task.distributed else 0


def _spawn(config: Path, processes: int) -> dict[str, float]:
    """Start the ranks, wait for them, and turn the death of one into its own error.

    A signal raises `Interrupted` in the agent, which then ends the ranks by SIGTERM and waits for
    their checkpoint; a second Ctrl-C ends this process at once, and with it the ranks.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", ENOUGH)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # what it has to say is said below
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
        signals_to_handle="",  # of an agent's handlers the second Ctrl-C would be one too few
    )
    error_file = config.parent / RANK_ERRORS
    error_file.unlink(missing_ok=True)
    os.environ[distributed.PARENT] = str(os.getpid())
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of a lost rank the others tell much
    try:
        elastic_launch(settings, sys.executable)("-m", "genzoo.launch", str(config))
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        first, _ = error.get_first_failure()
        if codes[first] - 128 in ENDING:  # the ranks themselves got a signal
            raise Interrupted(codes[first] - 128) from error
        raise _failure(codes, _rank_errors(error_file), first, processes) from error
    finally:
        os.environ.pop(distributed.PARENT, None)
    results = config.parent / "results.json"
    return _numbers(results)


def _rank_errors(file: Path) -> list[dict[str, Any]]:
    """What the ranks wrote of their failures, in the order of time."""
    import json

    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def _failure(
    codes: Mapping[int, int], said: list[dict[str, Any]], first: int, processes: int
) -> GenzooError:
    """One error for what ended the ranks: a kill, before what others suffered from it.

    Args:
        codes: exit codes of the ranks that failed; negative: the signal that killed it.
        said: by `_rank_errors`.
        first: the rank whose failure was noticed first.
        processes: how many ranks there were.
    """
    for rank, code in codes.items():
        if code < 0 and -code != signal.SIGTERM:  # with which those that are left are ended
            out_of_memory = (
                "the system does so when memory runs out: lower optimizer.batch_size= or "
                "trainer.processes=; the same command goes on from the last checkpoint"
            )
            return GenzooError(
                f"process {rank} of {processes} was killed by {signal.Signals(-code).name}",
                out_of_memory if code == -signal.SIGKILL else "all were ended",
            )
    # Of one that is gone the others lose the connection; that is nobody's mistake.
    own = [entry for entry in said if not entry["lost"]] or said
    if not own:
        return GenzooError(
            f"process {first} of {processes} ended with exit status {codes[first]}",
            "all were ended",
        )
    entry = own[0]
    if entry["remedy"] is not None:  # what is wrong with the command is so for each of them
        kind = UsageError if entry["status"] == UsageError.status else GenzooError
        return kind(entry["problem"], entry["remedy"])
    return GenzooError(
        f"process {entry['rank']} of {processes} failed: {entry['problem']}", "all were ended"
    )


def _numbers(results: Path) -> dict[str, float]:
    import json

    if not results.exists():  # of a task that measures nothing
        return {}
    metrics: dict[str, Any] = json.loads(results.read_text())["metrics"]
    return {name: entry["value"] for name, entry in metrics.items()}


def _rank(config: Path) -> None:
    """One rank: read the job's configuration and carry it out."""
    distributed.end_with_parent()
    cfg = read(config)
    cpu.apply(cfg.cpu, processes=distributed.world())
    signals.listen()
    try:
        distributed.join(gpu=_gpus(cfg) > 0)
        target(cfg.task._target_)(cfg)
        distributed.leave()
    except BaseException as raised:
        error = signals.after(raised)
        if cfg.debug == "traceback" or isinstance(error, SystemExit):
            raise
        status = error.status if isinstance(error, (GenzooError, Interrupted)) else 1
        if not isinstance(error, Interrupted):
            with contextlib.suppress(OSError):
                _tell(error, status, config.parent / RANK_ERRORS)
        os._exit(status)  # the other ranks may be waiting in a collective; do not wait for them


def _tell(error: BaseException, status: int, file: Path) -> None:
    """A rank's failure as a line of JSON, for the process that started it."""
    import json

    entry: dict[str, Any] = {"rank": distributed.rank(), "status": status, "lost": False}
    if isinstance(error, GenzooError):
        entry |= {"problem": error.problem, "remedy": error.remedy}
    else:
        text = " ".join(str(error).split())[:600]
        entry |= {"problem": f"{type(error).__name__}: {text}", "remedy": None}
        entry["lost"] = any(word in text.lower() for word in LOST)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


class CompareAfterSweep(Callback):  # type: ignore[misc]
    """After a sweep of training or evaluation jobs, compare their results."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before the first job."""
        self.began = time.time() - 1  # file systems keep time less exactly

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra once every job of the sweep has ended."""
        failures.collect(Path(config.hydra.sweep.dir), since=self.began)
        if config.task.name not in ("fit", "evaluate"):
            return
        from genzoo.tasks.compare import compare

        folder = Path(config.hydra.sweep.dir)
        typed = command(["python", "-m", "genzoo", "-m", *config.hydra.overrides.task])
        compare([folder], folder, command=typed, logger=config.logger)


if __name__ == "__main__":
    parser = Parser(
        prog="python -m genzoo.launch",
        description="One process of a run; genzoo starts them itself (trainer.processes=2).",
    )
    parser.add_argument("config", type=Path, help="config.yaml in the run's folder")
    arguments = parser.parse_args()
    if not arguments.config.is_file():
        parser.error(f"there is no file {arguments.config}")
    _rank(arguments.config)
