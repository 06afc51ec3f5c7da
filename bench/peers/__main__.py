"""`python -m bench.peers`: train, measure, write the table; one contestant after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from bench.peers import figure, ours, results, table
from bench.peers.contestants import CONTESTANTS
from bench.peers.settings import Settings, conditions, cores, environment, key_of
from genzoo.command.parser import Parser, positive, whole

# Where threads are bound to cores, a library that this process loads binds this process, too, and
# its children would inherit the one core that it was given.
CORES = os.sched_getaffinity(0)
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "peers" / "results"


def arguments() -> Namespace:
    parser = Parser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--minutes", type=positive, default=5.0, help="of training, for each")
    parser.add_argument("--threads", type=whole(1), default=cores(), help="default: all cores")
    parser.add_argument("--samples", type=whole(1), default=5000)
    parser.add_argument("--real-images", type=whole(1), default=10000)
    parser.add_argument("--held-out-images", type=whole(1), default=1000)
    parser.add_argument("--seed", type=whole(0), default=0)
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="default: %(default)s")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = [name for name in chosen.only if name not in CONTESTANTS]
    if unknown:
        parser.error(f"no contestant {', '.join(unknown)}; there are {', '.join(CONTESTANTS)}")
    return chosen


def main() -> None:
    given = arguments()
    fields = ("minutes", "threads", "samples", "real_images", "held_out_images", "seed")
    shared = {name: getattr(given, name) for name in fields}
    failed = []
    for name in given.only:
        settings = Settings(**shared, data=CONTESTANTS[name].data)
        if not contest(name, settings, given.results):
            failed.append(name)
    print((given.results / "table.md").read_text())
    print(f"stored in {given.results}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def contest(name: str, settings: Settings, folder: Path) -> bool:
    """Run one contestant and write all files anew; whether it finished."""
    contestant = CONTESTANTS[name]
    os.sched_setaffinity(0, CORES)
    shared = conditions(settings)
    print(f"== {contestant.label}", flush=True)
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        record = {**run(name, settings, Path(scratch)), **results.about(contestant)}
        samples = Path(scratch) / "samples.png"
        if samples.exists():
            results.keep_strip(folder, key_of(shared), name, samples)
    groups = results.merge(results.read(folder), shared, name, record)
    results.write(folder, groups)
    (folder / "table.md").write_text(table.markdown(groups))
    figure.write(folder, groups[-1])
    return "error" not in record


def run(name: str, settings: Settings, scratch: Path) -> dict[str, Any]:
    """The results of the contestant's process, or its error."""
    contestant = CONTESTANTS[name]
    if contestant.ours:
        command = ours.command(contestant, settings, scratch)
    else:
        own = ["-m", "bench.peers.one", name, str(scratch)]
        # The stamps' sampling settings of genzoo do not apply to peers.
        command = [sys.executable, *own, *settings.overrides(), "guidance=none", "sampler=none"]
    child = subprocess.run(
        command, cwd=ROOT, env=environment(settings), stderr=subprocess.PIPE, text=True
    )
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
        print(child.stderr[-3000:], file=sys.stderr)
        return {"error": lines[-1].replace("|", "/")[:200]}
    if contestant.ours:
        return ours.record(scratch)
    found: dict[str, Any] = json.loads((scratch / "record.json").read_text())
    return found


if __name__ == "__main__":
    main()
