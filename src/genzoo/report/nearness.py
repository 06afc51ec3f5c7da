"""How close each model comes to real images, in a few words for each metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genzoo.metrics.revisions import kind_of
from genzoo.metrics.stamp import comparable
from genzoo.report.comparison import Cell, Comparison
from genzoo.report.references import HELD_OUT, Reference, near
from genzoo.report.text import percent, rate

SHARES = ("precision", "recall", "density", "coverage", "vendi")
MATCHING = ("clip_score", "caption_accuracy")  # of images with captions
OWN, SHUFFLED = "real_captions", "shuffled_captions"
# What differs between samples and real images by their nature, and forbids no comparison here.
BY_NATURE = {"reference_split", "reference_indices", "precision", "given"}
# Real images lie beside others without captions; captions are checked without other real images.
OF_CAPTIONS = {"captions", "caption_split"}
OF_OTHERS = {"real_images", "real_indices", "real_split"}


@dataclass(frozen=True)
class Nearness:
    """A column of a panel.

    Attributes:
        head: what its numbers are of.
        words: a number for each label that it can be said of.
    """

    head: str
    words: Mapping[str, str]


def nearness(comparison: Comparison, metric: str, references: Mapping[str, Reference]) -> Nearness:
    """How close the models are to real images by a metric.

    Args:
        comparison: whose models they are.
        metric: its name as in results.json.
        references: the reference rows by name.
    """
    found = {}
    for entry in comparison.entries:
        cell = entry.cells.get(metric)
        if kind_of(metric) == "frechet_distance":
            ratio = near(entry, metric)
            words = rate(ratio[0]) if ratio else None
        else:
            words = None if cell is None else _words(metric, cell, references)
        if words:
            found[entry.label] = words
    return Nearness(_head(metric), found)


def _head(metric: str) -> str:
    kind = kind_of(metric)
    if kind in MATCHING:
        return "from chance to real"
    return "of real" if kind in SHARES else "times real"


def _words(metric: str, cell: Cell, references: Mapping[str, Reference]) -> str | None:
    kind = kind_of(metric)
    if kind in MATCHING:
        own, other = _cell(OWN, metric, references), _cell(SHUFFLED, metric, references)
        if own is None or other is None or not own.value > other.value:
            return None
        share = (cell.value - other.value) / (own.value - other.value)
        return percent(share) if _alike(cell, own, but=OF_OTHERS) else None
    real = _cell(HELD_OUT, metric, references)
    if real is None or not _alike(cell, real, but=OF_CAPTIONS):
        return None
    if kind in SHARES and real.value > 0:
        return percent(cell.value / real.value)
    # A ratio to what cannot be told from 0 says nothing.
    if kind in ("kernel_distance", "cmmd") and real.interval and real.interval[0] > 0:
        return rate(cell.value / real.value)
    return None


def _cell(name: str, metric: str, references: Mapping[str, Reference]) -> Cell | None:
    row = references.get(name)
    return None if row is None else row.cells.get(metric)


def _alike(cell: Cell, real: Cell, *, but: set[str]) -> bool:
    return not set(comparable(cell.stamp, real.stamp)) - BY_NATURE - but
