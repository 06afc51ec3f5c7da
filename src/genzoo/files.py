"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from genzoo.errors import GenzooError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk, a quota and a limit say


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when it is complete.

    Until then, and where writing fails, what lay at `path` stays as it was.

    Raises:
        GenzooError: where the disk is full.
    """
    # The ending stays, because some writers choose the format by it.
    fresh = path.with_name(f".{path.stem}-{os.getpid()}.new{path.suffix}")
    try:
        yield fresh
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise full(path, error) from error
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        GenzooError: where the disk is full.
    """
    with whole(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def full(path: str | Path, error: OSError) -> GenzooError:
    """What a person is told when there is no room for a file."""
    return GenzooError(
        f"cannot write {path}: {error.strerror}",
        "free some space, or choose another place with output=... or hydra.run.dir=...",
    )
