"""One job of a command or of a sweep."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from genzoo.command.launch import run
from genzoo.command.prepare import prepare
from genzoo.config import paths
from genzoo.core.errors import GenzooError, printable
from genzoo.core.files import write_whole
from genzoo.machine import distributed, signals
from genzoo.machine.console import label
from genzoo.machine.redaction import command
from genzoo.machine.signals import Interrupted
from genzoo.run import runfolder
from genzoo.run.lock import Refused, locked

ERROR = "error.txt"  # in the folder of a job that failed in a sweep


class Failures:
    """The failures of this command's jobs.

    Hydra prints a line of its own for a job that raises; so jobs do not raise, and the command
    line reads their failures here afterwards.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.status = 0

    def clear(self) -> None:
        """Forget the failures of an earlier command in this process."""
        self.error, self.status = None, 0

    def add(self, error: Exception, *, folder: Path) -> None:
        """Report a failed job of a sweep, and write the line into its folder."""
        known = isinstance(error, GenzooError)
        line = str(error) if known else f"{type(error).__name__}: {' '.join(str(error).split())}"
        line = printable(line)
        if not isinstance(error, Refused) and not runfolder.finished(folder):
            with contextlib.suppress(OSError):
                (folder / ERROR).write_text(line + "\n", encoding="utf-8")
        print(f"genzoo: {folder.name}: {line}", file=sys.stderr)  # noqa: T201
        self.status = max(self.status, error.status if isinstance(error, GenzooError) else 1)

    def collect(self, sweep: Path, *, since: float) -> None:
        """Add the failures of jobs that a launcher ran in other processes, from their folders.

        Args:
            sweep: the sweep's folder.
            since: when it began, as file times; earlier failures are another command's.
        """
        if any(file.stat().st_mtime >= since for file in sweep.rglob(ERROR)):
            self.status = max(self.status, 1)


failures = Failures()


def job(cfg: DictConfig) -> dict[str, float] | None:
    """Run one job of a single run or of a sweep; a failed job does not end the sweep."""
    # Unresolved: it has been resolved once, and its text may contain ${.
    runtime = OmegaConf.to_container(HydraConfig.get().runtime, resolve=False)
    assert isinstance(runtime, dict)
    folder = Path(runtime["output_dir"])
    paths.use_own(_own_folders(runtime["config_sources"]))  # also in a launcher's process
    sweep = HydraConfig.get().mode.name == "MULTIRUN"
    if sweep and not HydraConfig.get().launcher._target_.endswith("BasicLauncher"):
        label(folder.name)  # others may print at the same time
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


def _own_folders(sources: list[dict[str, str]]) -> list[Path]:
    """The person's own folders among those that Hydra composed from."""
    own = (source for source in sources if source["provider"] not in ("hydra", "main", "schema"))
    folders = (paths.searched(f"{source['schema']}://{source['path']}") for source in own)
    return [folder for folder in folders if folder is not None]


def _held(folder: Path) -> contextlib.AbstractContextManager[None]:
    """A lock on the run's folder, for the parent process or the first rank."""
    return contextlib.nullcontext() if distributed.rank() else locked(folder)


def _keep_composed(cfg: DictConfig, folder: Path) -> None:
    """Write Hydra's configuration, for a job that fails before its own; not in a used folder."""
    if distributed.rank() or (folder / paths.CONFIG).exists():
        return
    place = folder / ".hydra"
    place.mkdir(exist_ok=True)
    write_whole(place / "config.yaml", OmegaConf.to_yaml(cfg))
    write_whole(place / "overrides.yaml", OmegaConf.to_yaml(HydraConfig.get().overrides.task))


class CompareAfterSweep(Callback):  # type: ignore[misc]
    """After a sweep of training or evaluation jobs, compare their results."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra before the first job."""
        self.began = time.time() - 1  # file times are less precise

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra once every job of the sweep has ended."""
        failures.collect(Path(config.hydra.sweep.dir), since=self.began)
        if config.task.name not in ("fit", "evaluate", "score"):
            return
        from genzoo.tasks.compare import compare

        folder = Path(config.hydra.sweep.dir)
        typed = command(["python", "-m", "genzoo", "-m", *config.hydra.overrides.task])
        compare([folder], folder, command=typed, logger=config.logger)
