"""`python -m bench.kills`: runs killed at random moments, compared with undisturbed ones.

Runs of every family are killed (mostly by SIGKILL, which cannot be handled) at random moments from
a seed, some while they write a checkpoint, and each is resumed by the same command until it is
killed again or finishes. Then all files of the run have to be equal to those of an undisturbed
run, bit for bit: weights, their average, the optimiser's state, the images seen, the curves
without their times, and the results.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.families import FAMILIES, SMALL
from bench.shell import Command, Result
from genzoo.command.parser import Parser, positive, whole

RESULTS = Path(__file__).parent / "results" / "kills.json"
# A checkpoint after every step, so that many moments are ones at which it is written.
TRAINING = (
    *SMALL, "budget.images=240", "optimizer.accumulate=2", "trainer.checkpoint_minutes=1e-9",
    "trainer.log_images=32", "trainer.monitor_images=150", "trainer.validation_images=4",
)  # fmt: skip
SIGNALS = (signal.SIGKILL,) * 7 + (signal.SIGTERM,) * 2 + (signal.SIGINT,)
PHASES = ("set-up", "training", "writing", "evaluation")
MOST = 5  # kills of one run, until it may finish


@dataclass
class Tally:
    """Counts of the runs of one family.

    Attributes:
        phases: kills by what the process was doing.
        signals: kills by their signal.
        resumed: times that a run resumed from a checkpoint.
        ends: runs that finished after kills.
        identical: of these, those that ended as the undisturbed one did.
        wrong: differences and errors, as messages.
    """

    phases: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    ends: int = 0
    identical: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.phases.values())


class Family:
    """The runs of one family, in a folder of their own.

    Args:
        name: of `FAMILIES`.
        root: of all families' folders.
    """

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.folder = name, root / name
        self.folder.mkdir()
        self.tally = Tally()
        self.seconds = 0.0  # of one undisturbed process
        self._runs = 0

    def command(self, run: str) -> Command:
        arguments = (*TRAINING, *FAMILIES[self.name], f"hydra.run.dir={run}")
        return Command(*arguments, cwd=self.folder, env={"OMP_NUM_THREADS": "1"})

    def undisturbed(self) -> None:
        """The run that the others are compared with."""
        begin = time.monotonic()
        result = self.command("undisturbed").wait(timeout=600)
        if result.status:
            sys.exit(f"{self.name}: {result.err}")
        self.seconds = time.monotonic() - begin
        self.left = left(self.folder / "undisturbed")

    def disturbed(self, dice: random.Random, most: int) -> None:
        """One run, killed up to so many times."""
        self._runs += 1
        run = f"run-{self._runs}"
        for _ in range(most):
            if not self._kill(run, dice):
                break
        else:
            result = self.command(run).wait(timeout=600)
            self._note(result, run)
        self.tally.ends += 1
        differing = differences(self.left, left(self.folder / run))
        self.tally.identical += not differing
        self.tally.wrong += [f"{run}: {entry}" for entry in differing[:3]]

    def _kill(self, run: str, dice: random.Random) -> bool:
        """Start or resume a run, and kill it; whether it was killed before its end."""
        number, moment = dice.choice(SIGNALS), dice.random() * self.seconds
        begin, since = time.monotonic(), time.time()
        command = self.command(run)
        while command.running and time.monotonic() - begin < moment:
            time.sleep(0.002)
        phase = self._phase(run, since)
        if command.running:
            command.send(number)
        result = command.wait(timeout=600)
        if result.status == 0:  # it was faster
            self.seconds = time.monotonic() - begin
            self._note(result, run)
            return False
        if number == signal.SIGKILL:
            phase = self._phase(run, since)  # for certain, because nothing moves any more
        self.tally.phases[phase] += 1
        self.tally.signals[signal.Signals(number).name] += 1
        self._note(result, run, number)
        return True

    def _phase(self, run: str, since: float) -> str:
        """The phase of the process that began at `since`, by the files in its folder."""
        folder = self.folder / run / "checkpoints"
        last, fresh = folder / "last.ckpt", folder / "last.new"
        with contextlib.suppress(OSError):  # renamed at this moment, or not there
            if fresh.stat().st_mtime > since:  # an earlier process may have left one
                return "writing"
        if last.exists() and _images(last) >= 240:
            return "evaluation"
        return "training" if last.exists() and last.stat().st_mtime > since else "set-up"

    def _note(self, result: Result, run: str, number: int | None = None) -> None:
        """Check the output and exit status of a process."""
        self.tally.resumed += "continuing" in result.out
        wanted: Sequence[int] = (0,)
        if number is not None:
            wanted = (-number,) if number == signal.SIGKILL else (128 + number, -number)
        if result.status not in wanted:
            self.tally.wrong.append(f"{run}: status {result.status}: {result.err[-500:]}")
        if "Traceback" in result.err:
            self.tally.wrong.append(f"{run}: {result.err[-1500:]}")


def left(folder: Path) -> dict[str, str]:
    """A digest of each part of a finished run's files, without times."""
    import torch

    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    kept = {key: content[key] for key in ("state_dict", "optimizer_states", "meter", "callbacks")}
    kept["images_seen"] = content["genzoo"]["images_seen"]
    for number, line in enumerate((folder / "curves.jsonl").read_text().splitlines()):
        kept[f"curves[{number}]"] = {k: v for k, v in json.loads(line).items() if k != "seconds"}
    results = json.loads((folder / "results.json").read_text())
    kept["results"] = {name: entry["value"] for name, entry in results["metrics"].items()}
    return dict(_digests(kept, ""))


def _digests(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _digests(entry, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, entry in enumerate(value):
            yield from _digests(entry, f"{path}[{number}]")
    elif hasattr(value, "numpy"):
        yield path, hashlib.sha256(value.numpy().tobytes()).hexdigest()
    else:
        yield path, repr(value)


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts in which two runs differ."""
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]


def _images(path: Path) -> int:
    import torch

    try:
        content = torch.load(path, weights_only=True, mmap=True)
    except (OSError, RuntimeError):  # renamed at this moment
        return 0
    images: int = content["genzoo"]["images_seen"]
    return images


def kill(
    names: Sequence[str], *, kills: int, seconds: float, seed: int, root: Path
) -> dict[str, Tally]:
    """Kill runs of these families in turns until there were so many kills, or time is over."""
    os.environ.setdefault("GENZOO_CACHE", str(root / "cache"))
    dice, end = random.Random(seed), time.monotonic() + seconds
    needed = ["clip", *names] if "unclip" in names else names  # it is built on a CLIP
    families = {name: Family(name, root) for name in dict.fromkeys(needed)}
    Command("--version", cwd=root).wait()  # what all processes are forked from has started now
    for family in families.values():
        family.undisturbed()
        print(f"{family.name}: {family.seconds:.1f} s undisturbed", flush=True)
    done = 0
    while done < kills and time.monotonic() < end:
        for family in (families[name] for name in names):
            before = family.tally.kills
            family.disturbed(dice, min(MOST, kills - done))
            done += family.tally.kills - before
            for line in family.tally.wrong:
                print(f"{family.name}: {line}", flush=True)
            if done >= kills or time.monotonic() > end:
                break
        print(f"{done} kills", flush=True)
    return {name: families[name].tally for name in names}


def table(tallies: Mapping[str, Tally]) -> str:
    """One line a family, and their sum."""
    names = ("family", "kills", *PHASES, "resumed", "ended", "identical")
    rows = [
        (name, t.kills, *(t.phases[p] for p in PHASES), t.resumed, t.ends, t.identical)
        for name, t in tallies.items()
    ]
    rows.append(("all", *(sum(row[k] for row in rows) for k in range(1, len(names)))))
    widths = [max(len(str(row[k])) for row in (names, *rows)) for k in range(len(names))]
    return "\n".join(
        "  ".join(
            str(entry).rjust(width) if k else str(entry).ljust(width)
            for k, (entry, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (names, *rows)
    )


def main() -> None:
    parser = Parser(prog="python -m bench.kills", description="Kill runs and resume them.")
    parser.add_argument("--kills", type=whole(1), default=200, help="default: %(default)s")
    parser.add_argument("--seconds", type=positive, default=3600.0, help="at most, about")
    parser.add_argument("--seed", type=whole(0), default=0, help="of the moments and the signals")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    given = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="genzoo-kills-") as root:
        tallies = kill(
            given.families, kills=given.kills, seconds=given.seconds, seed=given.seed,
            root=Path(root),
        )  # fmt: skip
    print(table(tallies))
    numbers = {
        name: {"kills": t.kills, "phases": t.phases, "signals": t.signals, "resumed": t.resumed,
               "ended": t.ends, "identical": t.identical, "wrong": t.wrong}
        for name, t in tallies.items()
    }  # fmt: skip
    about = {"seed": given.seed, "seconds": round(time.monotonic() - begin)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**about, "families": numbers}, indent=1) + "\n")
    print(f"stored in {RESULTS}")
    if any(t.wrong for t in tallies.values()):
        sys.exit("not every run ended as an undisturbed one")


if __name__ == "__main__":
    main()
