"""Where sets of images lie: a folder, a `.zip`, or an array in a `.npz`.

Images are read one by one: nothing is extracted to the disk, no pickle is loaded, and a set may be
larger than the memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import numpy as np

from genzoo.core.errors import UsageError
from genzoo.data import npz, pictures
from genzoo.data.folder import ENDINGS
from genzoo.data.image_set import ImageSet
from genzoo.data.input_images import LARGEST, OVERVIEWS
from genzoo.data.source import Damaged, Pixels

BYTES = 4 * LARGEST  # of a file in an archive; an image of `LARGEST` pixels has no more
ARRAY = "arr_0"  # of a `.npz`, as the evaluator of ADM (guided-diffusion) has it
CHUNK = 1 << 20


def open_image_set(path: str | Path) -> ImageSet:
    """The images in a folder (also in folders below it), a `.zip` or a `.npz`.

    Raises:
        UsageError: where there are none, or they cannot be read.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        return Files(place)
    if not place.is_file():
        what = "is no plain file" if place.exists() else "is not there"
        raise UsageError(f"{place} {what}", "name a folder, a .zip or a .npz of images")
    if place.suffix.lower() == ".npz":
        return Array(place)
    if place.suffix.lower() == ".zip":
        return Archive(place)
    raise UsageError(
        f"{place} is no set of images", "name a folder, a .zip, or a .npz with an array arr_0"
    )


class Files(ImageSet):
    """Image files below a folder; nothing outside of it is opened, and hidden files are not."""

    def __init__(self, path: Path) -> None:
        found = sorted(_below(path))
        keys = [name for name in found if _is_image(name)]
        super().__init__(path, keys, others=len(found) - len(keys))

    def images(self) -> Iterator[tuple[str, Pixels]]:  # noqa: D102 - as described above
        for key in self.keys:
            try:
                read = pictures.read(self._inside(key), max_pixels=LARGEST)
                pixels = np.array(pictures.on_white(read))
            except Damaged as damage:
                self.skipped[key] = damage.reason
            else:
                yield key, pixels

    def fingerprint(self) -> str:  # noqa: D102
        digest = hashlib.blake2b(digest_size=16)
        for key in self.keys:
            try:
                path = self._inside(key)
            except Damaged:
                continue
            digest.update(f"{key}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
            _add_file(digest, path)
        return digest.hexdigest()

    def _inside(self, key: str) -> Path:
        """The plain file of this name, if it lies below the folder, links followed."""
        try:
            path = (self.path / key).resolve()
            regular = stat.S_ISREG(path.stat().st_mode)
        except (OSError, ValueError, RuntimeError) as error:
            raise Damaged("there is no such file") from error
        if not path.is_relative_to(self.path.resolve()):
            raise Damaged("lies outside the folder")
        if not regular:  # a pipe would be waited for
            raise Damaged("is no plain file")
        return path


class Archive(ImageSet):
    """Image files in a `.zip`; each is decompressed in memory, up to `BYTES`.

    Args:
        path: of the file.
        parts: of several files, where `path` is only what they are called by.
    """

    def __init__(self, path: Path, *, parts: Sequence[Path] = ()) -> None:
        self.parts = tuple(parts) or (path,)
        self._part = {name: part for part in self.parts for name in _members(part)}
        visible = sorted(name for name in self._part if not _hidden(name))
        keys = [name for name in visible if _is_image(name)]
        super().__init__(path, keys, others=len(visible) - len(keys))

    def images(self) -> Iterator[tuple[str, Pixels]]:  # noqa: D102
        with ExitStack() as stack:
            opened = {part: stack.enter_context(zipfile.ZipFile(part)) for part in self.parts}
            for key in self.keys:
                try:
                    content = io.BytesIO(_member(opened[self._part[key]], key))
                    read = pictures.decode(content, name=key, max_pixels=LARGEST)
                    pixels = np.array(pictures.on_white(read))
                except Damaged as damage:
                    self.skipped[key] = damage.reason
                else:
                    yield key, pixels

    def fingerprint(self) -> str:  # noqa: D102
        digest = hashlib.blake2b(digest_size=16)
        for part in self.parts:
            _add_file(digest, part)
        return digest.hexdigest()


class Array(ImageSet):
    """8-bit images (n, h, w, 3) in the array `arr_0` of a `.npz`, as ADM's evaluator has them."""

    def __init__(self, path: Path) -> None:
        arrays = npz.names(path)
        if ARRAY not in arrays:
            raise UsageError(
                f"{path} has no array {ARRAY}, but {', '.join(arrays) or 'nothing'}",
                "write it by np.savez(file, images), with images of shape (n, h, w, 3)",
            )
        with npz.opened(path, ARRAY) as array:
            shape, dtype = array.shape, array.dtype
        if dtype != np.uint8:
            raise UsageError(
                f"{ARRAY} in {path} holds {dtype}, and images have 8 bits",
                "round them: (255 * x).round().astype(np.uint8) for x in [0, 1]",
            )
        if len(shape) != 4 or shape[3] != 3:
            remedy = "transpose it by (0, 2, 3, 1)" if shape[1:2] == (3,) else "write RGB images"
            raise UsageError(f"{ARRAY} in {path} has the shape {shape}, not (n, h, w, 3)", remedy)
        if not 0 < shape[1] * shape[2] <= LARGEST:
            raise UsageError(
                f"the images in {path} have {shape[2]} x {shape[1]} pixels",
                f"give images of at most {LARGEST // 10**6} million pixels",
            )
        super().__init__(path, [f"{k:08d}" for k in range(shape[0])])

    def images(self) -> Iterator[tuple[str, Pixels]]:  # noqa: D102
        with npz.opened(self.path, ARRAY) as array:
            yield from zip(self.keys, array.rows(), strict=True)

    def fingerprint(self) -> str:  # noqa: D102
        digest = hashlib.blake2b(digest_size=16)
        _add_file(digest, self.path)
        return digest.hexdigest()


def _below(root: Path) -> Iterator[str]:
    """The files below a folder by their names within it; links to folders are not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        yield from ((place / name).as_posix() for name in files if not name.startswith("."))


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in ENDINGS and path.name not in OVERVIEWS


def _hidden(name: str) -> bool:
    """Hidden, or what macOS puts into archives beside the files."""
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in parts)


def _members(path: Path) -> list[str]:
    """The files in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UsageError(
            f"{path} is no zip archive, or damaged", "name another, or write it again"
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {path} ({str(error.strerror or error).lower()})", "name another"
        ) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive.

    Raises:
        Damaged: where it is too large or cannot be decompressed, or its name leads elsewhere.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Damaged("lies outside the archive")
    try:
        with archive.open(name) as file:
            content = file.read(BYTES + 1)
    except Exception as error:  # damaged, encrypted, or packed in a way that Python does not know
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(f"cannot be decompressed: {reason}") from error
    if len(content) > BYTES:
        raise Damaged(f"more than {BYTES:,} bytes are too many")
    return content


def _add_file(digest: hashlib.blake2b, path: Path) -> None:
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
