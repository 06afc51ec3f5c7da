"""`python -m bench [case ...]`: run the cases, print their numbers, store them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench.cases import CASES
from genzoo.command.parser import Parser

RESULTS = Path(__file__).parent / "results" / "bench.json"
# Two unbound OpenMP threads may share one core, which makes anything timed meaningless.
BOUND = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "OMP_WAIT_POLICY": "passive"}


def main() -> None:
    parser = Parser(prog="python -m bench", description="Run the cases and store their numbers.")
    parser.add_argument("case", nargs="*", help=f"default: all of {', '.join(CASES)}")
    names = parser.parse_args().case or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}; there are {', '.join(CASES)}")
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        print(f"{name}: {(CASES[name].__doc__ or '').splitlines()[0]}", flush=True)
        child = subprocess.run(
            [sys.executable, "-m", "bench.one", name],
            env={**BOUND, **os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
        )
        if child.returncode:
            sys.exit(f"{name} failed:\n{child.stderr[-3000:]}")
        numbers = json.loads(child.stdout.splitlines()[-1])
        stored[name] = numbers
        for key, value in numbers.items():
            print(f"  {key:<50} {value:,.4g}", flush=True)
    import torch

    stored["machine"] = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    print(f"stored in {RESULTS}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")


if __name__ == "__main__":
    main()
