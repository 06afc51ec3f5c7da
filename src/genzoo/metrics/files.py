"""Where weights and real features are kept between runs, and how files get there whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genzoo.errors import GenzooError
from genzoo.files import user_cache


def default_cache() -> Path:
    """The folder for metrics, in that of all caches."""
    return user_cache() / "metrics"


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Readers see the old file or the new one, never half of one; of several processes that write
    at once the last one wins.

    Raises:
        GenzooError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise GenzooError(
            f"the cache folder {path.parent} cannot be written ({error.strerror})",
            "set GENZOO_CACHE to a folder that can be",
        ) from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)  # mkstemp keeps others out; a shared cache is meant to be read
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
