"""Files that are fetched once: resumable, complete or not at all, verified by checksum."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from genzoo.core.errors import GenzooError, UsageError

BLOCK = 1 << 20  # bytes read at once
SECONDS = 30.0  # without an answer until it fails
SCHEMES = ("https",)
TYPED = ("https", "http", "file")  # schemes of addresses that the user chose
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # file systems without locks

Report = Callable[[int, int | None], None]  # bytes there, bytes in all


class _Unusable(Exception):
    """The partial file is not the beginning of the server's file."""


def sha256_of(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str | None,
    remedy: str,
    report: Report | None = None,
    schemes: tuple[str, ...] = SCHEMES,
) -> Path:
    """The file at `path`, fetched if it is not there yet.

    One process at a time fetches it; the others wait. It appears complete: its length is the one
    that the server gave, its checksum the known one. When a connection breaks, the part is kept,
    and a later call resumes from there. Where no checksum is known, that of the first file to
    arrive is recorded in `<path>.sha256` and verified from then on.

    Args:
        url: its address.
        path: where it is kept; the folder is created.
        sha256: the expected one; None if unknown.
        remedy: what to do when it cannot be fetched.
        report: called with the bytes received and, where known, their total.
        schemes: of addresses that are opened; redirections to others are refused, but for
            https instead of http.

    Raises:
        UsageError: for an address of another scheme.
        GenzooError: where it cannot be fetched, or its checksum differs.
    """
    if urlsplit(url).scheme not in schemes:
        raise UsageError(f"{url} is no address of {' or '.join(schemes)}", remedy)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(path) as alone:
                if not path.is_file():  # another process may have fetched it meanwhile
                    _fetch(url, path, sha256=sha256, report=report, alone=alone)
                    return path
        except (OSError, http.client.HTTPException, _Unusable) as error:  # urllib's are OSErrors
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise GenzooError(
                f"{url} cannot be fetched ({reason or type(error).__name__})", remedy
            ) from error
    kept = _record(path)
    expected = sha256 or (kept.read_text().split()[0] if kept.is_file() else None)
    if expected is not None and sha256_of(path) != expected:
        raise GenzooError(
            f"{path} is not what was fetched (its sha256 differs)",
            "remove it; it will be fetched again",
        )
    return path


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Wait until no other process fetches this file; False where the file system has no locks."""
    with path.with_name(f"{path.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            yield False
        else:
            yield True


def _fetch(
    url: str, path: Path, *, sha256: str | None, report: Report | None, alone: bool
) -> None:
    """Receive it into a file of this process's own, verify it, and move it into place."""
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    version = part.with_name(f"{part.name}.version")
    if alone:  # no other process needs its part any more
        _take_over(path, part, version)
    try:
        found = _received(url, part, version, sha256=sha256, report=report)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        if sha256 is None:
            fresh = part.with_name(f"{part.name}.sha256")
            fresh.write_text(f"{found}  {path.name}\n")
            fresh.replace(_record(path))
        part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            part.unlink(missing_ok=True)  # to free the space
        raise
    finally:
        if not part.exists():
            version.unlink(missing_ok=True)
        part.with_name(f"{part.name}.sha256").unlink(missing_ok=True)


def _take_over(path: Path, part: Path, version: Path) -> None:
    """Take over the longest part that an earlier process left, and its version."""
    parts = [p for p in path.parent.glob(f"{path.name}.part*") if p.suffix != ".version"]
    parts.sort(key=lambda p: p.stat().st_size)
    for left in parts:
        of = left.with_name(f"{left.name}.version")
        if left is parts[-1]:
            left.replace(part)
            if of.exists():
                of.replace(version)
        else:
            left.unlink()
            of.unlink(missing_ok=True)


def _received(
    url: str, part: Path, version: Path, *, sha256: str | None, report: Report | None
) -> str:
    """Receive everything, resumed if possible and otherwise anew; returns the checksum."""
    begun = part.is_file()
    if begun and sha256 is None and not version.is_file():
        begun = False
        part.unlink()  # a change of the file would go unnoticed
    for _ in range(1 + begun):
        try:
            _receive(url, part, version, report)
            found = sha256_of(part)
            if sha256 in (None, found):
                return found
            raise _Unusable("what was sent is not what was published: its sha256 differs")
        except _Unusable:
            part.unlink(missing_ok=True)
            version.unlink(missing_ok=True)
            if not begun:
                raise
            begun = False
    raise AssertionError("unreachable")


class _NoOtherScheme(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str
    ) -> Any:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new != old and (old, new) != ("http", "https"):
            raise OSError(f"it leads to {newurl}, an address of another kind")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(url: str, part: Path, version: Path, report: Report | None) -> None:
    """Receive all bytes, or those that are missing where the server supports ranges."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        if version.is_file():
            request.add_header("If-Range", version.read_text())
    try:
        answer: Any = urllib.request.build_opener(_NoOtherScheme).open(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416:
                raise
            whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if whole is None or int(whole[1]) != have:  # else nothing is left to send
            raise _Unusable(f"the server does not know bytes from {have:,} on") from error
        return
    with answer as source:
        middle = have > 0 and getattr(source, "status", None) == 206
        begin = have if middle else 0
        if middle and not source.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise _Unusable("the server sends another part than was asked for")
        tag = source.headers.get("ETag") or source.headers.get("Last-Modified")
        if tag is not None and not tag.startswith("W/"):
            version.write_text(tag)
        else:
            version.unlink(missing_ok=True)
        length = source.headers.get("Content-Length")
        chunked = source.headers.get("Transfer-Encoding") == "chunked"
        if length is None and not chunked:
            raise OSError("the server does not say how long it is")
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
