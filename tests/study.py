"""`python -m tests.study <study> ...`: a study whose runs are forked, one after another.

A study starts a new interpreter for each of its runs, which imports for longer than a run of the
smoke scale takes. Here `experiments.lab.sweep._execute` is replaced, and nothing else.
"""

from __future__ import annotations

import multiprocessing
import runpy
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

from bench.shell import PRELOADED, Command, Result
from experiments.lab import sweep


def carry_out(arguments: Sequence[str]) -> Result:
    return Command(*arguments, cwd=sweep.ROOT, here=True).wait()


def main(name: str, *rest: str) -> None:
    for module in PRELOADED:
        import_module(module)
    # A process that is forked before the study has threads: those are not safe to fork from.
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as server:
        server.submit(int).result()

        def execute(arguments: Sequence[str], log: Path) -> tuple[int, str]:
            status, said, errors = server.submit(carry_out, arguments).result()
            log.write_text(said, encoding="utf-8")
            return status, errors

        sweep._execute = execute
        sys.argv = [name, *rest]
        runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # By its name: the study becomes `__main__`, where nobody would find what a process is to do.
    import_module("tests.study").main(*sys.argv[1:])
