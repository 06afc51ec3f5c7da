"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genzoo.core.errors import GenzooError

NOBODY = "no home of this user is known"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota, a limit


def user_cache() -> Path:
    """The folder of genzoo's caches: GENZOO_CACHE, else `genzoo` in the user's cache folder.

    An XDG_CACHE_HOME that is not absolute is ignored, as the XDG base directory specification
    asks. A user without a home, as in many containers, has a folder among the temporary files.

    Raises:
        GenzooError: where that folder belongs to another user.
    """
    own = os.environ.get("GENZOO_CACHE")
    if own:
        return Path(own).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if base.is_absolute():
        return base / "genzoo"
    try:
        return Path.home() / ".cache" / "genzoo"
    except RuntimeError:
        return _temporary_cache()


def _temporary_cache() -> Path:
    """A folder that no other user can have prepared: its contents are trusted."""
    folder = Path(tempfile.gettempdir()) / f"genzoo-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o022:
        raise GenzooError(
            f"{NOBODY}, and {folder} is not this user's own",
            "set GENZOO_CACHE to a folder that is",
        )
    return folder


@contextlib.contextmanager
def whole(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A file beside `path` to write to, which replaces it when it is complete.

    Until then, and where writing fails, `path` stays as it was.

    Args:
        path: of the complete file.
        sync: wait until it is on the disk, so that it survives a power cut as well.

    Raises:
        GenzooError: where the disk is full.
    """
    # The ending stays, because some writers choose the format by it.
    # Others may write the same file at once: threads, or other machines on a shared disk.
    fresh = path.with_name(f".{path.stem}-{secrets.token_hex(4)}.new{path.suffix}")
    try:
        yield fresh
        if sync:
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        if is_full(error):
            raise full(path) from error
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        GenzooError: where the disk is full.
    """
    with whole(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def is_full(error: BaseException) -> bool:
    """Whether an error means a full disk; safetensors' own have the number in their text."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return any(f"(os error {number})" in str(error) for number in FULL)


def full(path: str | Path) -> GenzooError:
    """The error for a file that does not fit on the disk."""
    return GenzooError(
        f"cannot write {path}: no space left there",
        "free some space, or choose another place with output=... or hydra.run.dir=...",
    )
