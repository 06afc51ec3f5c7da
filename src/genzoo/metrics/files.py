"""Where weights and real features are kept between runs, and how files get there whole."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from genzoo.core.errors import GenzooError
from genzoo.core.files import full, is_full, user_cache, whole


def default_cache() -> Path:
    """The folder for metrics, in that of all caches."""
    return user_cache() / "metrics"


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Readers see the old file or the new one, never half of one; of several that write at once the
    last one wins. All users may read it, as a shared cache is meant to be.

    Raises:
        GenzooError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        if is_full(error):
            raise full(path) from error
        raise GenzooError(
            f"the cache folder {path.parent} cannot be written ({error.strerror})",
            "set GENZOO_CACHE to a folder that can be",
        ) from error
    with whole(path) as part:
        yield part
        part.chmod(0o644)
