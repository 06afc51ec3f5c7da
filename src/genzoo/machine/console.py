"""A run's output on the terminal: one line at a time, from the first process only."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from genzoo.core.errors import printable
from genzoo.machine import distributed

LABEL = "GENZOO_LABEL"  # in the environment, so that a job's own processes know it

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextlib.contextmanager
def silence(on: bool = True) -> Iterator[None]:
    """Print nothing within the block, for callers of the Python interface."""
    token = _silent.set(on)
    try:
        yield
    finally:
        _silent.reset(token)


def label(name: str) -> None:
    """Prefix every line with a name: several jobs write to one terminal, without progress bars."""
    os.environ[LABEL] = name


def status(line: str) -> None:
    """Print a line to stdout, if this is the first process."""
    if distributed.rank() == 0 and not _silent.get():
        name, line = os.environ.get(LABEL), printable(line)
        print(f"{name} | {line}" if name else line, flush=True)  # noqa: T201 - progress, here alone


class Progress:
    """Progress of a loop: a bar on a terminal, a line now and then elsewhere.

    Args:
        what: what is counted, e.g. ``"sampling"``.
        total: how many there will be, or None if unknown.
        every: seconds between two lines where there is no terminal.
    """

    def __init__(self, what: str, total: int | None, *, every: float = 10.0) -> None:
        self.what, self.total, self.every = what, total, every
        self._started = self._spoken = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        from rich.console import Console

        console = Console()
        shown = distributed.rank() == 0 and not _silent.get()
        if console.is_terminal and shown and LABEL not in os.environ:
            from rich.progress import (
                BarColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import (
                Progress as Bar,
            )

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn(
                    "{task.completed:,.0f}/{task.total:,.0f}"
                    if self.total
                    else "{task.completed:,.0f}"
                ),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._bar = Bar(*columns, console=console)
            self._task = self._bar.add_task(self.what, total=self.total, note="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, done: int, *, note: str = "") -> None:
        """Show that so many are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        finished = done == self.total and now - self._started > self.every
        if now - self._spoken >= self.every or finished:
            self._spoken = now
            of = f" of {self.total:,}" if self.total else ""
            spent = now - self._started
            left = ""
            if self.total and 0 < done < self.total:
                left = f", {spent / done * (self.total - done):.0f} s left"
            status(f"  {self.what}: {done:,}{of} ({spent:.0f} s{left}) {note}".rstrip())
