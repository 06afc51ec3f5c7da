"""Arrays in a `.npz` file, read part by part: no pickle is loaded, and nothing whole."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from genzoo.core.errors import UsageError

FALSE = "it is damaged"  # what an archive or a header that cannot be read is said to be
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@runtime_checkable
class Readable(Protocol):
    """An open file."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many of the next bytes."""


@dataclass(frozen=True)
class Array:
    """An array in an open file.

    Attributes:
        shape: as its header says.
        dtype: of plain numbers; never of Python objects.
        file: at the array's first byte.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    file: Readable

    def rows(self) -> Iterator[np.ndarray]:
        """One after the other, along the first axis.

        Raises:
            ValueError: where the file ends before the array.
        """
        count = math.prod(self.shape[1:])
        for _ in range(self.shape[0]):
            part = self.file.read(count * self.dtype.itemsize)
            yield np.frombuffer(part, dtype=self.dtype, count=count).reshape(self.shape[1:])

    def whole(self) -> np.ndarray:
        """All of it.

        Raises:
            ValueError: where the file ends before the array.
        """
        count = math.prod(self.shape)
        part = self.file.read(count * self.dtype.itemsize)
        return np.frombuffer(part, dtype=self.dtype, count=count).reshape(self.shape)


def names(path: Path) -> list[str]:
    """Of the arrays in a file.

    Raises:
        UsageError: where it cannot be read.
    """
    with _archive(path) as archive:
        found = archive.namelist()
    return [name.removesuffix(".npy") for name in found if name.endswith(".npy")]


@contextmanager
def opened(path: Path, name: str) -> Iterator[Array]:
    """An array of a file.

    Raises:
        UsageError: where it cannot be read: it is damaged, or holds no plain numbers.
    """
    with _archive(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        try:
            with archive.open(info) as file:
                array = _header(file, f"{name} in {path}")
                stored = info.file_size - file.tell()
                if math.prod(array.shape) * array.dtype.itemsize != stored:
                    raise _unreadable(
                        path, f"{name} is said to have the shape {array.shape}, and has not"
                    )
                yield array
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise _unreadable(path, FALSE) from error
        except (OSError, RuntimeError) as error:  # an encrypted member is a RuntimeError
            raise _unreadable(path, " ".join(str(error).split())) from error
        except Exception as error:
            if type(error).__module__ in ("zlib", "lzma"):
                raise _unreadable(path, FALSE) from error
            raise


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _unreadable(path, "it is no npz file, or damaged") from error
    except OSError as error:
        raise _unreadable(path, str(error.strerror or error).lower()) from error
    with archive:
        yield archive


def _header(file: Readable, what: str) -> Array:
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise UsageError(f"{what} has no plain numbers", "save an array of numbers")
    shape, fortran, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise UsageError(
            f"{what} holds Python objects, which are not loaded", "save an array of numbers"
        )
    if fortran and len(shape) > 1:
        raise UsageError(
            f"{what} is stored column by column", "save np.ascontiguousarray(...) of it"
        )
    return Array(shape, dtype, file)


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(f"cannot read {path} ({reason})", "name another file, or write it again")
