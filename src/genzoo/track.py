"""Where a run's numbers go: files always, Weights & Biases when wanted.

Only the first process writes. Nothing here can fail a run because a network is gone.
"""

from __future__ import annotations

import contextlib
import csv
import json
import netrc
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from omegaconf import DictConfig, OmegaConf

from genzoo import distributed
from genzoo.console import say

PROJECT = "genzoo"  # where neither the configuration nor the environment names one
PATIENCE = 20  # seconds for which a dashboard may keep a run waiting
# Variables of wandb that say what genzoo would say otherwise.
VARIABLES = {
    "project": "WANDB_PROJECT",
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "dir": "WANDB_DIR",
}
# Those that name one run: two jobs that obeyed them would be written into each other.
OF_ONE_RUN = ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_RESUME_FROM", "WANDB_FORK_FROM")

_silent: set[str] = set()  # dashboards that did not answer this process


class Tracker:
    """A run's curves.jsonl and curves.csv, and its dashboard.

    Args:
        cfg: the prepared configuration; `cfg.run.folder` is written to.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.folder = Path(cfg.run.folder)
        self.active = distributed.rank() == 0
        self._curves = self.folder / "curves.jsonl"
        self.points = 0  # of the curves so far
        self._wandb = None
        if self.active:
            self._wandb = _start_wandb(
                cfg.logger,
                self.folder,
                group=cfg.run.group,
                job_type=cfg.task.name,
                config=OmegaConf.to_container(cfg, resolve=True),
                alone=cfg.run.group is None,
            )

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.active:
            self._write_csv()
        if self._wandb is not None:
            # Each job of a sweep ends its own run, failed ones too: the next one would be merged
            # into it otherwise.
            self._wandb.finish(exit_code=0 if kind is None else 1)

    def continue_from(self, curves: Path, *, images: int) -> None:
        """Take over the curves of the run that is continued, up to the images it had seen."""
        if not self.active or not curves.exists():
            return
        lines = [line for line in curves.read_text().splitlines() if line.strip()]
        kept = [line for line in lines if json.loads(line)["images"] <= images]
        self._curves.write_text("".join(f"{line}\n" for line in kept))
        self.points = len(kept)

    def keep(self, points: int) -> None:
        """Keep only the first ones: what a checkpoint knew of, no point that comes again."""
        if self.active and points < self.points:
            lines = self._curves.read_text().splitlines()[:points]
            self._curves.write_text("".join(f"{line}\n" for line in lines))
            self.points = points

    def restart(self) -> None:
        """Begin the curves anew."""
        if self.active:
            self._curves.unlink(missing_ok=True)
            self.points = 0

    def curve(self, values: Mapping[str, float], *, images: int, seconds: float) -> None:
        """A point of the learning curves."""
        if not self.active:
            return
        record = {"images": images, "seconds": round(seconds, 3), **values}
        with self._curves.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.points += 1
        if self._wandb is not None:
            self._wandb.log(record)

    def picture(self, name: str, path: Path, *, images: int) -> None:
        """A picture for the dashboard."""
        if self.active and self._wandb is not None:
            import wandb

            self._wandb.log({name: wandb.Image(str(path)), "images": images})

    def summary(self, metrics: Mapping[str, float]) -> None:
        """The final numbers."""
        if self.active and self._wandb is not None:
            self._wandb.summary.update(dict(metrics))

    def _write_csv(self) -> None:
        if not self._curves.exists():
            return
        records = [json.loads(line) for line in self._curves.read_text().splitlines()]
        columns = list(dict.fromkeys(key for record in records for key in record))
        with self._curves.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(records)


def track_table(
    logger: DictConfig,
    folder: Path,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """A table on the dashboard, in a run of its own that joins the group named after `folder`."""
    run = _start_wandb(logger, folder, group=folder.name, job_type=name, config={})
    if run is not None:
        import wandb

        run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})
        run.finish()


def _start_wandb(
    logger: DictConfig,
    folder: Path,
    *,
    group: str | None,
    job_type: str,
    config: Any,
    alone: bool = False,
) -> Any:
    """A run on the dashboard: online when logged in, otherwise in a folder; None if unwanted.

    What wandb's own variables ask for holds (project, group, name, folder, tags ...). Those that
    name one run and no other (WANDB_RUN_ID, WANDB_RESUME ...) hold for a run that is `alone`; the
    jobs of a sweep would all be written into it.
    """
    if logger.name != "wandb":
        return None
    mode = logger.mode
    if mode == "auto":
        mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    if mode == "disabled":
        return None
    host = _host()
    if mode == "online" and host in _silent:
        say(f"wandb: {host} did not answer an earlier job; this one is kept in its folder")
        mode = "offline"
    os.environ.setdefault("WANDB_SILENT", "true")
    own = {key: os.environ.get(name) or None for key, name in VARIABLES.items()}
    name = own["name"] or folder.name
    if own["name"] and not alone:
        name += f"-{folder.name}"
    with _hidden(() if alone else OF_ONE_RUN):
        import wandb

        for attempt in dict.fromkeys((mode, "offline")):
            try:
                return wandb.init(
                    project=logger.project or own["project"] or PROJECT,
                    entity=logger.entity,
                    name=name,
                    group=own["group"] or group,
                    job_type=own["job_type"] or job_type,
                    dir=own["dir"] or str(folder),
                    config=config,
                    reinit="finish_previous",
                    mode=attempt,
                    settings=wandb.Settings(init_timeout=PATIENCE, console="off"),
                )
            except Exception as error:  # whatever the dashboard's trouble is, the run goes on
                reason = " ".join(str(error).split())
                say(f"wandb {attempt} did not start ({type(error).__name__}: {reason})")
                if attempt == "online":
                    _silent.add(host)
    return None


@contextlib.contextmanager
def _hidden(names: Collection[str]) -> Iterator[None]:
    """Without these variables of the environment, which are said where they are there."""
    found = {name: os.environ.pop(name) for name in names if name in os.environ}
    if found:
        say(f"wandb: {', '.join(found)} name one run, and each job of a sweep is one: left aside")
    try:
        yield
    finally:
        os.environ.update(found)


def _host() -> str:
    """Where the dashboard is, with its port where that is an odd one."""
    return urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc


def _logged_in() -> bool:
    """Whether a key is at hand, in the environment or where `wandb login` puts it; never asks.

    A file that is there and cannot be read is said.
    """
    if os.environ.get("WANDB_API_KEY"):
        return True
    named = os.environ.get("NETRC")
    places = [named] if named else ["~/.netrc", "~/_netrc"]
    path = next((p for p in map(Path.expanduser, map(Path, places)) if p.exists()), None)
    if path is None:
        if named:
            say(f"wandb: NETRC={named} names no file; offline")
        return False
    try:
        # As wandb does: a file that is named is read whoever else may read it.
        known = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        say(f"wandb: {path} cannot be read ({' '.join(str(error).split())}); offline")
        return False
    login = known.authenticators(_host())
    return login is not None and bool(login[2])
