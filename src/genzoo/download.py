"""Files that are fetched once: resumable, whole or not at all, and known by their checksum."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from genzoo.errors import GenzooError

BLOCK = 1 << 20  # bytes read at once
SECONDS = 30.0  # without an answer until it is given up

Report = Callable[[int, int | None], None]  # bytes there, bytes in all


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    url: str, path: Path, *, sha256: str | None, remedy: str, report: Report | None = None
) -> Path:
    """The file at `path`, fetched if it is not there yet.

    What has come of it is kept in `<path>.part`, from whose end a later call goes on. Where no
    checksum is known, that of the first file to arrive is kept in `<path>.sha256`; the file is
    held against it ever after.

    Args:
        url: where it lies.
        path: where it is kept; its folder is made.
        sha256: that it must have, where that is known.
        remedy: what to do when it cannot be had.
        report: told how far it has come.

    Raises:
        GenzooError: where it cannot be fetched, or is not what it was.
    """
    kept = path.with_name(f"{path.name}.sha256")
    if not path.is_file():
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _receive(url, part, report)
        except OSError as error:  # urllib's are of this kind
            reason = getattr(error, "reason", error)
            raise GenzooError(f"{url} cannot be fetched ({reason})", remedy) from error
        found = sha256_of(part)
        if sha256 is not None and found != sha256:
            part.unlink()
            raise GenzooError(f"what {url} sent is not what was published", remedy)
        if sha256 is None:
            kept.write_text(f"{found}  {path.name}\n")
        part.replace(path)
        return path
    expected = sha256 or (kept.read_text().split()[0] if kept.is_file() else None)
    if expected is not None and sha256_of(path) != expected:
        raise GenzooError(
            f"{path} is not what was fetched (its sha256 differs)",
            "remove it; it will be fetched again",
        )
    return path


def _receive(url: str, part: Path, report: Report | None) -> None:
    """All bytes, after those that are there already where the server can begin in the middle."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer: Any = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            return
        raise
    with answer as source:
        middle = have > 0 and getattr(source, "status", None) == 206
        begin = have if middle else 0
        length = source.headers.get("Content-Length")
        total = None if length is None else begin + int(length)
        with part.open("ab" if middle else "wb") as target:
            done = _copy(source, target, begin, total, report)
    if total is not None and done != total:
        raise OSError(f"the connection ended after {done:,} of {total:,} bytes; try again")


def _copy(
    source: IO[bytes], target: IO[bytes], done: int, total: int | None, report: Report | None
) -> int:
    while block := source.read(BLOCK):
        target.write(block)
        done += len(block)
        if report is not None:
            report(done, total)
    return done
