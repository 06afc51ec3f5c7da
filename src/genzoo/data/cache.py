"""Decoded images in one memory-mapped file, drawn once and then shared by every process.

A cache is a folder named by the source's fingerprint and the size. It appears by a rename, whole
or not at all; the processes that start together wait for the one that draws.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from genzoo.core.errors import GenzooError, UsageError
from genzoo.core.files import user_cache, write_whole
from genzoo.data import look_alikes
from genzoo.data.source import Damaged, Item, Source

Progress = Callable[[int, int], None]

LAYOUT = 1  # counts up whenever what lies in a cache changes
BLOCK = 1 << 20  # bytes under one checksum
CHECKED_BLOCKS = 64  # so many are checked at each start, all of them in a smaller file
NAMED = 1000  # skipped images named in the report


@dataclass(frozen=True)
class Header:
    """What a cache says of itself.

    Attributes:
        layout: `LAYOUT` of the code that wrote it.
        source: the source's fingerprint.
        size: pixels of a side.
        kept: the numbers of the source's items that lie in the cache, ascending; None for all.
        count: images in the cache.
        blocks: checksum of each `BLOCK` of the images.
        alike: the places in the cache of images with identical pixels, ascending, a list a set;
            None where they have not been looked for.
    """

    layout: int
    source: str
    size: int
    kept: list[int] | None
    count: int
    blocks: list[str]
    alike: list[list[int]] | None = None

    @property
    def digest(self) -> str:
        """One checksum over all pixels."""
        return hashlib.blake2b("".join(self.blocks).encode(), digest_size=16).hexdigest()


class Corrupt(Exception):
    """The cache does not hold what its header says."""


class Cached:
    """The images of an open cache; in another process it opens the file again.

    Attributes:
        folder: where it lies.
        header: what it says of itself.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder = folder
        self.header = header
        shape = (header.count, 3, header.size, header.size)
        self._mapped = np.memmap(folder / "images.u8", dtype=np.uint8, mode="r", shape=shape)
        self._pixels: np.ndarray = np.asarray(self._mapped)  # indexing a plain view is faster

    def __len__(self) -> int:
        return self.header.count

    def __getitem__(self, rows: Int[np.ndarray, " b"]) -> UInt8[np.ndarray, "b 3 h w"]:
        """A copy of these images, in memory of its own."""
        return np.take(self._pixels, rows, axis=0)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "3 h w"]]:
        """All images, not copied."""
        return iter(self._pixels)

    def __reduce__(self) -> tuple[type[Cached], tuple[Path, Header]]:
        return Cached, (self.folder, self.header)


def cache_home(configured: str | Path | None) -> Path:
    """Where caches lie: the configured folder, GENZOO_CACHE, or the user's cache folder."""
    return Path(configured).expanduser() if configured else user_cache()


def open_cache(
    source: Source,
    items: Sequence[Item],
    *,
    size: int,
    home: Path,
    max_skipped: float,
    progress: Progress | None = None,
) -> Cached:
    """The source's images at `size`, from the cache, or drawn into it now.

    Args:
        source: what is drawn.
        items: the source's items.
        size: pixels of a side.
        home: the folder of all caches.
        max_skipped: the share of damaged images, in [0, 1], that is put up with.
        progress: called with how many of how many images have been drawn.

    Raises:
        GenzooError: when too many images are damaged or the disk is full.
        UsageError: when the cache folder cannot be written.
    """
    fingerprint = source.fingerprint()
    name = hashlib.blake2b(f"{LAYOUT} {fingerprint}".encode(), digest_size=8).hexdigest()
    folder = home / "data" / f"{source.name}-{size}-{name}"
    try:
        return _compared(_read(folder, fingerprint, size), items)
    except Corrupt:
        pass
    with _writable(home), lock(folder.with_suffix(".lock")):
        try:  # another process may have drawn it while this one waited for the lock
            found = _read(folder, fingerprint, size)
        except Corrupt:
            _build(folder, fingerprint, source, items, size, max_skipped, progress)
            found = _read(folder, fingerprint, size)
    return _compared(found, items)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a file that only one process at a time can hold; it is let go even by a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _writable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write the image cache under {home} ({error.strerror or error})",
            "name another folder with data.cache=<folder> or the variable GENZOO_CACHE",
        ) from error


def _read(folder: Path, fingerprint: str, size: int) -> Cached:
    """An existing cache, checked; `Corrupt` when it is absent or not what it should be."""
    try:
        header = Header(**json.loads((folder / "header.json").read_text()))
        stamp = (header.layout, header.source, header.size)
        if stamp != (LAYOUT, fingerprint, size):
            raise Corrupt("made by another version or from another source")
        images, length = folder / "images.u8", header.count * 3 * size * size
        if images.stat().st_size != length or len(header.blocks) != -(-length // BLOCK):
            raise Corrupt("of the wrong length")
        if header.kept is not None and len(header.kept) != header.count:
            raise Corrupt("its header contradicts itself")
        if not all(0 <= i < header.count for numbers in header.alike or [] for i in numbers):
            raise Corrupt("its look-alikes are no images of it")
        _check_blocks(images, header.blocks)
        return Cached(folder, header)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Corrupt(str(error)) from error


def _check_blocks(path: Path, blocks: Sequence[str]) -> None:
    every = np.linspace(0, len(blocks) - 1, min(len(blocks), CHECKED_BLOCKS)).astype(int)
    with path.open("rb") as file:
        for k in every.tolist():
            file.seek(k * BLOCK)
            if _checksum(file.read(BLOCK)) != blocks[k]:
                raise Corrupt(f"block {k} differs from its checksum")


def _checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _build(
    folder: Path,
    fingerprint: str,
    source: Source,
    items: Sequence[Item],
    size: int,
    max_skipped: float,
    progress: Progress | None,
) -> None:
    """Draw everything beside the final place, then rename; under the lock."""
    for left_over in folder.parent.glob(f"{folder.name}.tmp-*"):
        shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed
    place = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    place.mkdir()  # readable as the umask says: a cache may be shared between people
    try:
        skipped = _draw_all(place / "images.u8", source, items, size, progress)
        _refuse_too_many(source, items, skipped, max_skipped)
        _describe(place, fingerprint, size, items, skipped)
        if folder.exists():
            shutil.rmtree(folder)
        place.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _draw_all(
    path: Path, source: Source, items: Sequence[Item], size: int, progress: Progress | None
) -> dict[int, str]:
    """Write the images that can be drawn; returns the others' numbers with the reasons."""
    skipped: dict[int, str] = {}
    with path.open("wb") as file:
        for i in range(len(items)):
            try:
                pixels = source.render(i, size)
            except Damaged as damage:
                skipped[i] = damage.reason
            else:
                file.write(np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes())
            if progress is not None:
                progress(i + 1, len(items))
        file.flush()
        os.fsync(file.fileno())  # a rename that outlives a power cut must not outlive its data
    return skipped


def _describe(
    place: Path, fingerprint: str, size: int, items: Sequence[Item], skipped: dict[int, str]
) -> None:
    """Write the header and the report of what was skipped."""
    blocks = []
    with (place / "images.u8").open("rb") as file:
        while block := file.read(BLOCK):
            blocks.append(_checksum(block))
    kept = [i for i in range(len(items)) if i not in skipped] if skipped else None
    count = len(items) - len(skipped)
    header = Header(LAYOUT, fingerprint, size, kept, count, blocks)
    header = replace(header, alike=look_alikes.find(Cached(place, header), count))
    _write_json(place / "skipped.json", report(items, skipped) | _alike_report(items, header))
    _write_json(place / "header.json", asdict(header))


def report(items: Sequence[Item], skipped: dict[int, str]) -> dict[str, Any]:
    """How many images were skipped, and the first `NAMED` of them by name and reason."""
    named = [{"key": items[i].key, "reason": skipped[i]} for i in list(skipped)[:NAMED]]
    return {"items": len(items), "skipped": len(skipped), "named": named}


def _alike_report(items: Sequence[Item], header: Header) -> dict[str, Any]:
    kept = items if header.kept is None else [items[i] for i in header.kept]
    return look_alikes.report(kept, header.alike or [])


def _compared(cached: Cached, items: Sequence[Item]) -> Cached:
    """The cache with its look-alikes, which one that an earlier version wrote learns once.

    Where it cannot be written, they are looked for at each start.
    """
    if cached.header.alike is not None:
        return cached
    header = replace(cached.header, alike=look_alikes.find(cached, len(cached)))
    with contextlib.suppress(OSError, ValueError, GenzooError):
        file = cached.folder / "skipped.json"
        known = {**json.loads(file.read_text()), **_alike_report(items, header)}
        write_whole(file, json.dumps(known, ensure_ascii=False))
        write_whole(cached.folder / "header.json", json.dumps(asdict(header)))
    return Cached(cached.folder, header)


def _refuse_too_many(
    source: Source, items: Sequence[Item], skipped: dict[int, str], max_skipped: float
) -> None:
    if len(skipped) > max_skipped * len(items) or len(skipped) == len(items):
        first = next(iter(skipped)) if skipped else None
        example = "" if first is None else f", the first {items[first].key}: {skipped[first]}"
        raise GenzooError(
            f"{len(skipped)} of the {len(items)} images of {source.name} cannot be used{example}",
            "mend or remove them, or allow a larger share with data.max_skipped=<0 to 1>",
        )


def _write_json(path: Path, content: Any) -> None:
    with path.open("w") as file:
        json.dump(content, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
