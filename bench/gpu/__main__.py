"""`python -m bench.gpu`: run every check on this machine's GPU and store the results."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.gpu import families, numerics, speed
from bench.gpu.bench import Bench, Found
from genzoo.command.parser import Parser, positive
from genzoo.machine.provenance import software

RESULTS = Path(__file__).parents[1] / "results" / "gpu.json"

CHECKS: dict[str, Callable[[Bench], Found]] = {
    "noise": numerics.noise,
    "flow_inverse": numerics.flow_inverse,
    "golden": numerics.golden,
    "throughput": speed.throughput,
    "families": families.families,
    "two_cards": families.two_cards,
    "compiled": families.compiled,
}


def main() -> None:
    parser = Parser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--only", default=",".join(CHECKS), help="checks, separated by commas")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    left_out = "what is not reached is named"
    parser.add_argument("--minutes", type=positive, default=8.0, help=left_out)
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file to write")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := [name for name in names if name not in CHECKS]:
        parser.error(f"there is no check {unknown[0]}; there are: {', '.join(CHECKS)}")
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu tries the checks themselves")
    with tempfile.TemporaryDirectory(prefix="genzoo-gpu-") as folder:
        bench = Bench(
            device=torch.device(arguments.device),
            folder=Path(folder),
            deadline=time.monotonic() + 60 * arguments.minutes,
        )
        found = run(bench, names)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    failed = [name for name in names if found["checks"][name]["failures"]]
    print(f"{len(names) - len(failed)} of {len(names)} checks passed: {arguments.output}")
    sys.exit(bool(failed))


def run(bench: Bench, names: list[str]) -> dict[str, object]:
    """All checks by name; one that raises is a failure, and the others continue."""
    checks: dict[str, Found] = {}
    for name in names:
        begin = time.monotonic()
        try:
            found = CHECKS[name](bench)
        except Exception as error:
            traceback.print_exc()
            found = {"failures": [f"{type(error).__name__}: {error}"]}
        found["seconds"] = round(time.monotonic() - begin, 1)
        checks[name] = found
        verdict = "failed" if found["failures"] else "ok"
        print(f"{name}: {verdict}, {found['seconds']} s", flush=True)
        for failure in found["failures"]:
            print(f"  {failure}", flush=True)
    return {"machine": bench.machine() | software(), "checks": checks}


if __name__ == "__main__":
    main()
