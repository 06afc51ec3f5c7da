"""One process at a time in a run's folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from genzoo.core.errors import UsageError
from genzoo.machine.console import status

LOCK = ".lock"


class Refused(UsageError):
    """The command must not write to this folder."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder and lock it within the block.

    The system releases the lock when the process ends, however it ends. Between the machines of
    a cluster it works where their shared file system supports `flock`.

    Raises:
        Refused: when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(file, 200, 0).decode(errors="replace").strip()
            raise Refused(
                f"{folder} is in use by {who or 'another process'}",
                "wait until it has ended, or choose another folder",
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            status(f"{folder} cannot be locked ({error.strerror}): start no second run there")
        with contextlib.suppress(OSError):  # a full disk: the lock works without it
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        with _not_in_children(file):
            yield
    finally:
        # Unlock before closing: a child that was just forked may not have closed it yet.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


@contextlib.contextmanager
def _not_in_children(file: int) -> Iterator[None]:
    """Close the file in forked processes (of a data loader): the lock is this process's."""
    here = [file]

    def close() -> None:
        if here:
            with contextlib.suppress(OSError):
                os.close(here[0])

    os.register_at_fork(after_in_child=close)
    try:
        yield
    finally:
        here.clear()
