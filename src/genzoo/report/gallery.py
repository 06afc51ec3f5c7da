"""The images of several runs, side by side: the same caption and the same seed in a column."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.core.errors import GenzooError
from genzoo.report.comparison import Comparison, Entry
from genzoo.report.runs import REMEDY, GalleryItem, GivenImage, RunRecord

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 8 * 2**20  # bytes of an image that goes into the page
COLUMNS = 16  # captions shown


@dataclass(frozen=True)
class Item:
    """A caption of the data set.

    Attributes:
        index: the item's number in the data set.
        caption: its text.
        split: that it belongs to.
    """

    index: int
    caption: str
    split: str

    @property
    def note(self) -> str:
        """A remark on the caption for the reader; empty if none is needed."""
        return "seen in training" if self.split == "train" else ""


@dataclass(frozen=True)
class Row:
    """Images of one kind, one an item; None where there is none.

    Attributes:
        label: whose they are.
        images: files, in the order of the items.
    """

    label: str
    images: tuple[Path | None, ...]


@dataclass(frozen=True)
class Sheet:
    """The images of one seed, side by side.

    Attributes:
        seed: of every sample on the sheet.
        items: the captions.
        real: the real images, first.
        samples: a row an entry that was run with this seed.
        reconstructions: a row an entry that has some.
    """

    seed: int
    items: tuple[Item, ...]
    real: Row
    samples: tuple[Row, ...]
    reconstructions: tuple[Row, ...]


def sheets(comparison: Comparison) -> list[Sheet]:
    """One sheet a seed, sorted by the number of entries (most first), then by seed.

    A column shows an item that all entries of the sheet have; if they have none in common (they
    were trained on different data), every item of any.
    """
    found = [_sheet(comparison, seed) for seed in comparison.seeds]
    useful = [sheet for sheet in found if sheet.items]
    return sorted(useful, key=lambda sheet: (-len(sheet.samples), sheet.seed))


def _sheet(comparison: Comparison, seed: int) -> Sheet:
    found = [
        (entry, {Item(p.index, p.caption, p.split): p for p in run.gallery})
        for entry in comparison.entries
        for run in entry.runs
        if run.seed == seed and run.gallery
    ]
    galleries = [gallery for _, gallery in found]
    every = list(dict.fromkeys(item for gallery in galleries for item in gallery))
    shared = [item for item in every if all(item in gallery for gallery in galleries)]
    items = tuple((shared or every)[:COLUMNS])

    def row(label: str, of: Callable[[GalleryItem], Path | None], *places: int) -> Row:
        return Row(label, tuple(_first(galleries, item, of, places) for item in items))

    samples = [row(e.label, lambda p: p.sample, k) for k, (e, _) in enumerate(found)]
    rebuilt = [row(e.label, lambda p: p.reconstruction, k) for k, (e, _) in enumerate(found)]
    return Sheet(
        seed,
        items,
        row("real", lambda p: p.real, *range(len(found))),
        tuple(samples),
        tuple(row for row in rebuilt if any(row.images)),
    )


def _first(
    galleries: Sequence[dict[Item, GalleryItem]],
    item: Item,
    of: Callable[[GalleryItem], Path | None],
    places: Sequence[int],
) -> Path | None:
    entries = (galleries[k].get(item) for k in places)
    return next((of(entry) for entry in entries if entry is not None), None)


def given_images(comparison: Comparison) -> list[tuple[Entry, tuple[GivenImage, ...]]]:
    """Images of other programs, of each entry that has some."""
    found = ((entry, entry.first.given[:COLUMNS]) for entry in comparison.entries)
    return [(entry, images) for entry, images in found if images]


def interpolations(comparison: Comparison) -> Iterator[tuple[Entry, RunRecord, Path]]:
    """The latent interpolation of each entry that has one, from its lowest seed."""
    for entry in comparison.entries:
        for run in entry.runs:
            if run.interpolation is not None:
                yield entry, run, run.interpolation
                break


def data_uri(path: Path) -> str:
    """A PNG file as a data URI.

    Raises:
        GenzooError: if it is no PNG file or too large for a page.
    """
    content = path.read_bytes()
    if not content.startswith(PNG):
        raise GenzooError(f"{path} is no PNG file", REMEDY)
    if len(content) > LARGEST:
        raise GenzooError(f"{path} is larger than {LARGEST >> 20} MiB", REMEDY)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
