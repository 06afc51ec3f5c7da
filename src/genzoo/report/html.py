"""The comparison as one self-contained page: styles, images and charts inside."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from genzoo.report import (
    budgets,
    curves,
    gallery,
    intervals,
    panels,
    references,
    summary,
    suspects,
    text,
    tradeoffs,
)
from genzoo.report.comparison import Comparison, Entry
from genzoo.report.labels import SEPARATOR


def html(comparison: Comparison) -> str:
    """The page's text; everything that comes from a run is escaped.

    Raises:
        GenzooError: when an image cannot be embedded.
    """
    environment = Environment(
        loader=PackageLoader("genzoo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        parts=parts,
        breakable=breakable,
        data_uri=gallery.data_uri,
        arrow=text.arrow,
        title=text.title,
        stamp=text.stamp_text,
    )
    environment.globals.update(
        value_text=text.value_text,
        spread_text=text.spread_text,
        counted=text.counted,
        hue=curves.hue,
    )
    time = curves.time_axis(comparison)
    prices = [text.costs(entry) for entry in comparison.entries]
    return environment.get_template("comparison.html.j2").render(
        comparison=comparison,
        entries=comparison.entries,
        headline=summary.headline(comparison),
        sentence=summary.one_sentence(comparison),
        facts=summary.facts(comparison),
        blocks=panels.blocks(comparison),
        budgets=budgets.budget_lines(comparison),
        notes=[
            n for n in (intervals.spread_note(comparison), intervals.rank_note(comparison)) if n
        ],
        references=references.references(comparison),
        intervals=[
            *intervals.interval_notes(comparison),
            *references.reference_notes(comparison),
        ],
        footnotes=text.footnotes(comparison),
        shared={
            "time": curves.shared_axis(comparison, time) is not None,
            "images": curves.shared_axis(comparison, curves.IMAGES) is not None,
        },
        suspects=suspects.suspects(comparison),
        against_time=tradeoffs.against_time(comparison),
        devices=tradeoffs.devices_note(comparison),
        guidance=tradeoffs.guidance(comparison),
        sheets=gallery.sheets(comparison),
        sampling={entry.label: sampling(entry) for entry in comparison.entries},
        given=gallery.given_images(comparison),
        strips=list(gallery.interpolations(comparison)),
        by_time=curves.learning_curves(comparison, time),
        by_images=curves.learning_curves(comparison, curves.IMAGES),
        parts=curves.part_curves(comparison),
        quality_by_time=curves.quality_curves(comparison, time),
        quality_by_images=curves.quality_curves(comparison, curves.IMAGES),
        quality_samples=curves.quality_samples(comparison),
        costs=[name for name, *_ in text.COSTS],
        prices=prices,
        attributions=list(
            dict.fromkeys(run.attribution for run in comparison.runs if run.attribution)
        ),
    )


def parts(label: str) -> list[str]:
    """An entry's label: the model's name, where it is from, then what sets it apart."""
    model, *others = label.split(SEPARATOR)
    name, found, origin = model.partition(" (from ")
    return [name, f"from {origin.removesuffix(')')}", *others] if found else [model, *others]


def breakable(words: str) -> Markup:
    """Escaped text in which a line may end within a dotted name."""
    return Markup(re.sub(r"([._=/])", r"\1<wbr>", str(escape(words))))


def sampling(entry: Entry) -> str:
    """How a model samples, and whether it is conditioned on the caption."""
    how = entry.first.get("model", "sampling")
    can = entry.first.get("model", "capabilities")
    reads = not isinstance(can, dict) or "text" in (can.get("conditions") or ())
    return "; ".join(filter(None, [str(how or ""), "" if reads else "ignores the caption"]))
