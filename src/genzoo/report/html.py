"""The comparison as one self-contained page: styles, images and charts inside."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from genzoo.report import curves, gallery, intervals, references, summary, text
from genzoo.report.comparison import Comparison, Entry, Metric
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
        blocks=metric_blocks(comparison),
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
        strips_of=curves.metric_strips(comparison),
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
        costs=[(name, [price[name] for price in prices]) for name, *_ in text.COSTS],
        attributions=list(
            dict.fromkeys(run.attribution for run in comparison.runs if run.attribution)
        ),
    )


def metric_blocks(comparison: Comparison) -> list[tuple[str, list[tuple[Metric, int]]]]:
    """The metrics with their decimal places, under a heading for each extractor."""
    blocks: dict[str, list[tuple[Metric, int]]] = {}
    for metric in comparison.metrics:
        heading = _heading(comparison, metric)
        blocks.setdefault(heading, []).append((metric, text.row_places(comparison, metric)))
    return list(blocks.items())


def parts(label: str) -> list[str]:
    """An entry's label: the model's name, then what sets it apart."""
    return label.split(SEPARATOR)


def breakable(words: str) -> Markup:
    """Escaped text in which a line may end within a dotted name."""
    return Markup(re.sub(r"([._=/])", r"\1<wbr>", str(escape(words))))


def sampling(entry: Entry) -> str:
    """How a model samples, and whether it is conditioned on the caption."""
    how = entry.first.get("model", "sampling")
    can = entry.first.get("model", "capabilities")
    reads = not isinstance(can, dict) or "text" in (can.get("conditions") or ())
    return "; ".join(filter(None, [str(how or ""), "" if reads else "ignores the caption"]))


def _heading(comparison: Comparison, metric: Metric) -> str:
    """What a block of metrics was measured on, as far as its stamps agree."""
    cells = [e.cells[metric.name] for e in comparison.entries if metric.name in e.cells]
    stamps = [cell.stamp for cell in cells]

    def known(key: str) -> str:
        return text.alternatives(stamp.get(key) for stamp in stamps)

    name = text.extractor(metric.name) or known("extractor")
    split = known("real_split" if name else "split")
    if name:
        return f"Samples against {f'{split} ' if split else ''}images, features of {name}"
    return f"Images of the {split} split" if split else "Further metrics"
