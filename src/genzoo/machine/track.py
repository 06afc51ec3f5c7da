"""Logging of a run's numbers: to files always, to Weights & Biases on request.

Only the first process writes. A failing network never fails a run.
"""

from __future__ import annotations

import contextlib
import csv
import json
import netrc
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from omegaconf import DictConfig, OmegaConf

from genzoo.core.errors import GenzooError
from genzoo.core.files import whole, write_whole
from genzoo.machine import distributed
from genzoo.machine.console import status
from genzoo.machine.redaction import cleaned

PROJECT = "genzoo"  # if neither the configuration nor the environment names one
PATIENCE = 20  # seconds for which a dashboard may keep a run waiting
# Variables of wandb that override genzoo's values.
VARIABLES = {
    "project": "WANDB_PROJECT",
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "dir": "WANDB_DIR",
}
# Variables that name one run: two jobs with them would write to the same run.
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
        self._full = False  # whether the disk was full at the last point
        self._board = _Dashboard(None)
        if self.active:
            self._board = _Dashboard(
                _start_wandb(
                    cfg.logger,
                    self.folder,
                    group=cfg.run.group,
                    job_type=cfg.task.name,
                    config=cleaned(OmegaConf.to_container(cfg, resolve=True)),
                    alone=cfg.run.group is None,
                )
            )

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.active:
            self._write_csv()
        # Each job of a sweep ends its own run, failed ones too: the next one would be merged
        # into it otherwise.
        self._board.finish(exit_code=0 if kind is None else 1)

    def continue_from(self, curves: Path, *, images: int) -> None:
        """Take over the curves of the run that is continued, up to its images seen."""
        if not self.active or not curves.exists():
            return
        self._rewrite([point for point in read_curves(curves) if point["images"] <= images])

    def keep(self, points: int) -> None:
        """Keep only the first points, up to a checkpoint: the later ones are repeated."""
        if self.active and points < self.points:
            self._rewrite(read_curves(self._curves)[:points])

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
        self._append(json.dumps(record))
        self.points += 1
        self._board.call(lambda run: run.log(record))

    def image(self, name: str, path: Path, *, images: int) -> None:
        """An image for the dashboard."""

        def send(run: Any) -> None:
            import wandb

            run.log({name: wandb.Image(str(path)), "images": images})

        self._board.call(send)

    def summary(self, metrics: Mapping[str, float]) -> None:
        """The final numbers."""
        self._board.call(lambda run: run.summary.update(dict(metrics)))

    def _append(self, line: str) -> None:
        """Append a line; a full disk costs points of the curves, not the training."""
        try:
            # A line that was cut off, by a full disk or a kill, ends before the next one.
            with self._curves.open("a") as file:
                file.write(f"\n{line}\n" if self._full else f"{line}\n")
            self._full = False
        except OSError as error:
            if not self._full:
                status(
                    f"{self._curves} cannot be written ({error.strerror}); the training continues"
                )
            self._full = True

    def _rewrite(self, records: Sequence[Mapping[str, Any]]) -> None:
        write_whole(self._curves, "".join(json.dumps(record) + "\n" for record in records))
        self.points = len(records)

    def _write_csv(self) -> None:
        if not self._curves.exists():
            return
        records = read_curves(self._curves)
        columns = list(dict.fromkeys(key for record in records for key in record))
        try:
            with (
                whole(self._curves.with_suffix(".csv")) as fresh,
                fresh.open("w", newline="") as file,
            ):
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(records)
        except (GenzooError, OSError) as error:  # it repeats curves.jsonl
            status(f"curves.csv is not written ({error})")


def read_curves(path: Path) -> list[dict[str, Any]]:
    """The points of a curves.jsonl, without a line that was cut off while it was written."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "images" in record:
            records.append(record)
    return records


class _Dashboard:
    """A run on a dashboard whose failures never fail the training.

    Args:
        run: wandb's, or None.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._lost = False

    def call(self, send: Callable[[Any], Any]) -> None:
        """Call `send` with wandb's run; after a failure nothing more is sent."""
        if self._run is None or self._lost:
            return
        try:
            send(self._run)
        except Exception as error:
            self._lost = True
            what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            status(f"wandb failed ({what}); the run continues without it")

    def finish(self, **how: Any) -> None:
        """End the run there, also after a failure: the next job would be merged into it."""
        if self._lost:
            with contextlib.suppress(Exception):
                self._run.finish(**how)
        self.call(lambda run: run.finish(**how))


def track_table(
    logger: DictConfig,
    folder: Path,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """A table on the dashboard, in a run of its own that joins the group named after `folder`."""

    def send(run: Any) -> None:
        import wandb

        run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    board = _Dashboard(_start_wandb(logger, folder, group=folder.name, job_type=name, config={}))
    board.call(send)
    board.finish()


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

    wandb's own variables (project, group, name, folder, tags ...) take precedence. Those that name
    one run (WANDB_RUN_ID, WANDB_RESUME ...) apply to a run that is `alone`; the jobs of a sweep
    would all be written into it.
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
        status(f"wandb: {host} did not answer an earlier job; this one is kept in its folder")
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
                    # wandb's record of the machine has user names, folders and the command line.
                    settings=wandb.Settings(
                        init_timeout=PATIENCE, console="off", x_disable_meta=True
                    ),
                )
            except Exception as error:  # a dashboard never fails a run
                reason = " ".join(str(error).split())
                status(f"wandb {attempt} did not start ({type(error).__name__}: {reason})")
                if attempt == "online":
                    _silent.add(host)
    return None


@contextlib.contextmanager
def _hidden(names: Collection[str]) -> Iterator[None]:
    """Without these variables of the environment, which are reported where they are set."""
    found = {name: os.environ.pop(name) for name in names if name in os.environ}
    if found:
        status(
            f"wandb: {', '.join(found)} name one run, and each job of a sweep is one: left aside"
        )
    try:
        yield
    finally:
        os.environ.update(found)


def _host() -> str:
    """The dashboard's host, with its port where that is not the default."""
    return urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc


def _logged_in() -> bool:
    """Whether there is a key in the environment or where `wandb login` stores it; never prompts.

    A file that cannot be read is reported.
    """
    if os.environ.get("WANDB_API_KEY"):
        return True
    named = os.environ.get("NETRC")
    places = [named] if named else ["~/.netrc", "~/_netrc"]
    path = next((path for path in map(_there, places) if path is not None), None)
    if path is None:
        if named:
            status(f"wandb: NETRC={named} names no file; offline")
        return False
    try:
        # As wandb does: a named file is read whatever its permissions.
        known = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
        status(f"wandb: {path} cannot be read ({' '.join(str(error).split())}); offline")
        return False
    login = known.authenticators(_host())
    return login is not None and bool(login[2])


def _there(place: str) -> Path | None:
    """The file of that name, if there is one and the user has a home folder."""
    try:
        path = Path(place).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):
        return None
