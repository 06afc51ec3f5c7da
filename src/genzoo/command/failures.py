"""What became of the processes of a run: noted by each, made one error by who started them."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo.core.errors import GenzooError, UsageError
from genzoo.machine import distributed

RANK_ERRORS = "rank_errors.jsonl"


# What gloo and NCCL say when another rank is gone.
LOST = ("connection closed", "connection reset", "connection refused", "broken pipe",
        "remote process exited", "nccl communicator was aborted")  # fmt: skip


def note_failure(error: BaseException, status: int, file: Path) -> None:
    """A rank's failure as a line of JSON, for the process that started it."""
    entry: dict[str, Any] = {"rank": distributed.rank(), "status": status, "lost": False}
    if isinstance(error, GenzooError):
        entry |= {"problem": error.problem, "remedy": error.remedy}
    else:
        text = " ".join(str(error).split())[:600]
        entry |= {"problem": f"{type(error).__name__}: {text}", "remedy": None}
        entry["lost"] = any(word in text.lower() for word in LOST)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


def rank_errors(file: Path) -> list[dict[str, Any]]:
    """What the ranks wrote of their failures, in the order of time."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def failure(
    codes: Mapping[int, int], said: list[dict[str, Any]], first: int, processes: int
) -> GenzooError:
    """One error for what ended the ranks: a kill, before what others suffered from it.

    Args:
        codes: exit codes of the ranks that failed; negative: the signal that killed it.
        said: by `rank_errors`.
        first: the rank whose failure was noticed first.
        processes: how many ranks there were.
    """
    for rank, code in codes.items():
        if code < 0 and -code != signal.SIGTERM:  # with which those that are left are ended
            out_of_memory = (
                "the system does so when memory runs out: lower optimizer.batch_size= or "
                "trainer.processes=; the same command goes on from the last checkpoint"
            )
            return GenzooError(
                f"process {rank} of {processes} was killed by {signal.Signals(-code).name}",
                out_of_memory if code == -signal.SIGKILL else "all were ended",
            )
    # Of one that is gone the others lose the connection; that is nobody's mistake.
    own = [entry for entry in said if not entry["lost"]] or said
    if not own:
        return GenzooError(
            f"process {first} of {processes} ended with exit status {codes[first]}",
            "all were ended",
        )
    entry = own[0]
    if entry["remedy"] is not None:  # what is wrong with the command is so for each of them
        kind = UsageError if entry["status"] == UsageError.status else GenzooError
        return kind(entry["problem"], entry["remedy"])
    return GenzooError(
        f"process {entry['rank']} of {processes} failed: {entry['problem']}", "all were ended"
    )
