"""A folder of images with captions: a metadata file, or a text file beside each image.

Files of any origin may lie there: nothing outside the folder is opened.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.pictures import on_white, read, square
from genzoo.data.source import Damaged, Item, Pixels

Lines = Literal["joined", "separate"]
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


class Folder:
    """Images below a folder, each with one caption or several.

    A metadata file gives an image several captions by a list of texts (in metadata.jsonl), or by
    several lines with the same file_name.

    Args:
        root: the folder.
        max_pixels: of an image; larger ones are skipped undecoded.
        lines: what the lines of a text file beside an image are: joined to one caption, or
            separate captions (as in the captions of CUB-200 by Reed et al., arXiv 1605.05395).

    Raises:
        UsageError: when the folder is not given or does not exist.
    """

    name = "folder"
    attribution: str | None = None
    label_names: tuple[str, ...] = ()

    def __init__(
        self, *, root: str | Path | None, max_pixels: int, lines: Lines = "joined"
    ) -> None:
        if root is None:
            raise UsageError("data=folder needs a folder", "name it with data.root=<folder>")
        self.root = Path(root).expanduser()
        self.max_pixels = max_pixels
        self.lines = lines
        if not self.root.is_dir():
            raise UsageError(
                f"there is no folder {self.root}", "name another one with data.root=<folder>"
            )

    def fingerprint(self) -> str:
        """Over names, captions, sizes and times of change: reading every image would be slow."""
        digest = hashlib.blake2b(f"folder-2 {self.max_pixels}".encode(), digest_size=16)
        for name, captions in self._captioned:
            # A caption alone as it has always been written: caches of such folders stay good.
            texts = captions[0] if len(captions) == 1 else captions
            digest.update(json.dumps([name, texts, *self._state(name)]).encode())
        return f"folder-2 {digest.hexdigest()}"

    def items(self) -> Sequence[Item]:
        """One item an image, in the order of the metadata file or of the names."""
        return [
            Item(key=name, captions=captions, group=name) for name, captions in self._captioned
        ]

    def render(self, i: int, size: int) -> Pixels:
        """The i-th image upright on white, cut to its central square and resized."""
        path = self._inside(self._captioned[i][0])
        return square(on_white(read(path, max_pixels=self.max_pixels)), size)

    @cached_property
    def _captioned(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each image's name once, with all its captions in the order in which they stand."""
        found: dict[str, tuple[str, ...]] = {}
        for name, captions in self._read():
            found[name] = (*found.get(name, ()), *captions)
        if not found:
            raise UsageError(
                f"{self.root} contains no captioned image",
                "add metadata.jsonl (file_name, text), metadata.csv, or name.txt beside name.png",
            )
        return list(found.items())

    def _read(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for file, rows in (("metadata.jsonl", _json_rows), ("metadata.csv", _csv_rows)):
            path = self.root / file
            if path.is_file():
                yield from (_row(path, line, row) for line, row in rows(path))
                return
        yield from _beside(self.root, self.lines)

    def _inside(self, name: str) -> Path:
        """The file of this name, if it is a plain one below the folder, links followed."""
        try:
            path, root = (self.root / name).resolve(), self.root.resolve()
            if not path.is_relative_to(root):
                raise Damaged("lies outside the folder")
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                raise Damaged("is no plain file")
        except (OSError, ValueError, RuntimeError) as error:
            raise Damaged("there is no such file") from error
        return path

    def _state(self, name: str) -> tuple[int, int]:
        try:
            found = self._inside(name).stat()
        except Damaged:
            return -1, -1
        return found.st_size, found.st_mtime_ns


def captions_by_name(path: Path) -> dict[str, str]:
    """The first caption of each file that a metadata file names (`.jsonl`, or `.csv`).

    Raises:
        GenzooError: where it cannot be read.
    """
    rows = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    found: dict[str, str] = {}
    for line, row in rows(path):
        name, captions = _row(path, line, row)
        found.setdefault(name, captions[0])
    return found


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _bad_row(path, number, "is not JSON") from error
            yield number, row if isinstance(row, dict) else {}


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(_text(path).splitlines(keepends=True))
    for row in reader:
        yield reader.line_num, row


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GenzooError(f"{path} cannot be read ({error})", "write it as UTF-8 text") from error


def _row(path: Path, number: int, row: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    """The name and the captions of a line; `text` is one, or a list of some."""
    name, text = row.get("file_name"), row.get("text")
    texts = text if isinstance(text, list) else [text]
    if not isinstance(name, str) or not name or not texts:
        raise _bad_row(path, number, "lacks file_name or text")
    captions = tuple(one.strip() for one in texts if isinstance(one, str))
    if len(captions) < len(texts):
        raise _bad_row(path, number, "lacks file_name or text")
    return name, captions


def _bad_row(path: Path, number: int, how: str) -> GenzooError:
    return GenzooError(f"{path} line {number} {how}", "give each line a file_name and a text")


def _beside(root: Path, lines: Lines) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every image below the folder that has a text file beside it, ordered by name."""
    for folder, folders, files in os.walk(root):  # does not follow links to folders
        folders.sort()
        names = set(files)
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower() in ENDINGS and f"{path.stem}.txt" in names:
                captions = _captions(path.with_suffix(".txt"), root, lines)
                yield path.relative_to(root).as_posix(), captions


def _captions(path: Path, root: Path, lines: Lines) -> tuple[str, ...]:
    """What a text file says; an empty one is an empty caption."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise GenzooError(f"{path} leads out of the folder", "copy the file instead of linking it")
    text = _text(path)
    parts = text.splitlines() if lines == "separate" else [text]
    captions = [" ".join(part.split()) for part in parts]
    return tuple(caption for caption in captions if caption) or ("",)
