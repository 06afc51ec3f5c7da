"""Commands as typed, each in a process of its own.

Importing torch and Lightning takes longer than most commands do. So processes are forked from a
server that has imported them and done nothing else; `fresh=True` starts a new interpreter, for
what depends on how one starts.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

PRELOADED = ("hydra", "genzoo.command.launch", "genzoo.tasks.fit")  # import all that commands need


class Result(NamedTuple):
    """How a command ended.

    Attributes:
        status: the exit status; negative: the signal that ended it.
        out: its standard output.
        err: its standard error.
    """

    status: int
    out: str
    err: str


class Command:
    """A running command.

    Args:
        arguments: after `python -m <module>`.
        module: what is run.
        cwd: the folder that it is run in.
        env: variables that are added; None as a value removes one.
        fresh: whether a new interpreter is started.
        here: whether the process is forked from this one, which has to have imported everything
            and to have no other threads.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        module: str = "genzoo",
        env: Mapping[str, str | None] | None = None,
        fresh: bool = False,
        here: bool = False,
    ) -> None:
        changed = {**os.environ, **(env or {})}
        variables = {key: value for key, value in changed.items() if value is not None}
        self._folder = tempfile.TemporaryDirectory(prefix="command-")
        self._out, self._err = (Path(self._folder.name) / name for name in ("out", "err"))
        self._process: BaseProcess | subprocess.Popen[bytes]
        if fresh:
            with self._out.open("wb") as out, self._err.open("wb") as err:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=cwd, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                )  # fmt: skip
        else:
            context = multiprocessing.get_context("fork" if here else "forkserver")
            context.set_forkserver_preload([__name__, *PRELOADED])
            self._process = context.Process(
                target=_child, args=(module, arguments, str(cwd), variables, self._out, self._err)
            )
            self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll() is None
        return self._process.is_alive()

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, *, timeout: float = 240.0) -> Result:
        """Wait until it ends; one that does not is killed.

        Raises:
            TimeoutError: with its output so far.
        """
        if isinstance(self._process, subprocess.Popen):
            try:
                status: int | None = self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
        else:
            self._process.join(timeout)
            status = self._process.exitcode
        output = [path.read_text() if path.exists() else "" for path in (self._out, self._err)]
        if status is None:
            self.send(signal.SIGKILL)
            raise TimeoutError(f"no end after {timeout} s: {output}")
        self._folder.cleanup()
        return Result(status, *output)


def _child(
    module: str,
    arguments: tuple[str, ...],
    cwd: str,
    variables: dict[str, str],
    out: Path,
    err: Path,
) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    # Where a new interpreter would look for modules, too.
    search_path = variables.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in search_path if path and path not in sys.path]
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT),
        (2, err, os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags), number)
    # What the server had opened has its own encoding and buffers.
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
