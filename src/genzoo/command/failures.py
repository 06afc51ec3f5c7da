"""Failures of a run's processes: noted by each, and made one error by the parent process."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo.core.errors import GenzooError, UsageError
from genzoo.machine import distributed

RANK_ERRORS = "rank_errors.jsonl"


# Messages of gloo and NCCL when another rank has ended.
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
    """The failures that the ranks noted, in the order of time."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def failure(
    codes: Mapping[int, int], noted: list[dict[str, Any]], first: int, processes: int
) -> GenzooError:
    """One error for all ranks: the cause, such as a kill, rather than its consequences.

    Args:
        codes: exit codes of the ranks that failed; negative: the signal that killed it.
        noted: by `rank_errors`.
        first: the rank whose failure was noticed first.
        processes: how many ranks there were.
    """
    for rank, code in codes.items():
        if code < 0 and -code != signal.SIGTERM:  # which ends the remaining ranks
            out_of_memory = (
                "the system does this when memory runs out: lower optimizer.batch_size= or "
                "trainer.processes=; the same command resumes from the last checkpoint"
            )
            return GenzooError(
                f"process {rank} of {processes} was killed by {signal.Signals(-code).name}",
                out_of_memory if code == -signal.SIGKILL else "all were ended",
            )
    # When a rank ends, the others lose the connection; that is not the cause.
    own = [entry for entry in noted if not entry["lost"]] or noted
    if not own:
        return GenzooError(
            f"process {first} of {processes} ended with exit status {codes[first]}",
            "all were ended",
        )
    entry = own[0]
    if entry["remedy"] is not None:  # a wrong command fails in every rank
        kind = UsageError if entry["status"] == UsageError.status else GenzooError
        return kind(entry["problem"], entry["remedy"])
    return GenzooError(
        f"process {entry['rank']} of {processes} failed: {entry['problem']}", "all were ended"
    )
