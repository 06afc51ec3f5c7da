"""The most suspicious samples of each model beside the training images nearest to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.report.comparison import Comparison, Entry
from genzoo.report.runs import RunRecord, finite, inside, read_json
from genzoo.report.text import percent

FOLDER, FILE = "memorisation", "memorisation.json"
SHOWN = 5  # pairs of a model


@dataclass(frozen=True)
class Pair:
    """A sample and a training image.

    Attributes:
        sample: its file.
        training: that of the training image.
        caption: that the sample was made for.
        training_caption: of the training image.
        ratio: from 0, a copy, to 1.
        near_copy: whether it counts as one.
    """

    sample: Path
    training: Path
    caption: str
    training_caption: str
    ratio: float
    near_copy: bool


@dataclass(frozen=True)
class Suspects:
    """What was found of one model.

    Attributes:
        label: of its entry.
        share: of near-copies with its interval, in words.
        pairs: the most suspicious first.
    """

    label: str
    share: str
    pairs: tuple[Pair, ...]


def suspects(comparison: Comparison) -> list[Suspects]:
    """The pairs of each entry that has some, from its lowest seed.

    Raises:
        GenzooError: when a run's file is damaged or names files elsewhere.
    """
    return [found for entry in comparison.entries for found in _of_entry(entry)]


def _of_entry(entry: Entry) -> Iterator[Suspects]:
    for run in entry.runs:
        content = read_json(run.folder / "gallery" / FOLDER / FILE)
        pairs = () if content is None else tuple(_pairs(run, content))
        if content is not None and pairs:
            yield Suspects(entry.label, _share(content), pairs[:SHOWN])
            return


def _share(content: Mapping[str, Any]) -> str:
    share, ends = content.get("share"), content.get("interval")
    if share is None or not finite(share):
        return "share of near-copies not recorded"
    text = f"{percent(share, 1)} near-copies"
    if isinstance(ends, list) and len(ends) == 2 and all(map(finite, ends)):
        text += f", 95 % interval {percent(ends[0], 1)} to {percent(ends[1], 1)}"
    return text


def _pairs(run: RunRecord, content: Mapping[str, Any]) -> Iterator[Pair]:
    folder, items = run.folder / "gallery" / FOLDER, content.get("pairs")
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or not finite(item.get("ratio")):
            continue
        sample, training = inside(folder, item.get("sample")), inside(folder, item.get("training"))
        if sample is not None and training is not None:
            yield Pair(
                sample,
                training,
                str(item.get("caption") or ""),
                str(item.get("training_caption") or ""),
                float(item["ratio"]),
                bool(item.get("near_copy")),
            )
