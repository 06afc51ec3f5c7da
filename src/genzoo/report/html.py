"""The comparison as one self-contained page: styles, pictures and charts inside."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from genzoo.report.chart import Line, chart
from genzoo.report.comparison import Comparison, Entry
from genzoo.report.runs import RunRecord
from genzoo.report.text import COSTS, arrow, costs, shown

TITLES = {
    "frechet_distance": "Fréchet distance",
    "fid": "FID",
    "inception_score": "Inception Score",
    "kernel_distance": "Kernel distance",
    "kid": "KID",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "bits_per_dim": "Bits per dimension",
    "reconstruction_psnr": "Reconstruction PSNR, dB",
}


def html(comparison: Comparison) -> str:
    """The page's text."""
    environment = Environment(
        loader=PackageLoader("genzoo.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(data_uri=data_uri, shown=shown, arrow=arrow)
    environment.globals.update(title=title, extractor=extractor, stamp_text=stamp_text)
    page = environment.get_template("comparison.html.j2")
    first = comparison.entries[0].first if comparison.entries else None
    return page.render(
        comparison=comparison,
        config=first.config if first else {},
        results=first.results if first else {},
        captions=captions(comparison),
        reconstructions=any(
            picture.reconstruction
            for entry in comparison.entries
            for picture in entry.first.gallery
        ),
        charts=[(entry, *_charts(entry)) for entry in comparison.entries],
        costs=[(name, [costs(entry)[name] for entry in comparison.entries]) for name in COSTS],
        attributions=sorted(
            {e.first.attribution for e in comparison.entries if e.first.attribution}
        ),
        summary=summary(comparison),
    )


def captions(comparison: Comparison) -> list[dict[str, Any]]:
    """The pictures that every entry has, with the real one and each entry's own."""
    galleries = [
        {(p.index, p.caption, p.seed): p for p in entry.first.gallery}
        for entry in comparison.entries
    ]
    if not galleries:
        return []
    shared = [key for key in galleries[0] if all(key in gallery for gallery in galleries)]
    return [
        {
            "caption": key[1],
            "real": galleries[0][key].real,
            "pictures": [gallery[key] for gallery in galleries],
        }
        for key in shared
    ]


def summary(comparison: Comparison) -> str:
    """What was compared, in a sentence or two."""
    if not comparison.entries:
        return "No run finished."
    first = comparison.entries[0].first
    data = first.config.get("data", {})
    budget = first.config.get("budget", {})
    ends = []
    if budget.get("images"):
        ends.append(f"{budget['images']:,} images")
    if budget.get("minutes"):
        ends.append(f"{budget['minutes']:g} minutes")
    seeds = ", ".join(map(str, comparison.seeds))
    device = (first.results or {}).get("provenance", {}).get("device", "")
    names = ", ".join(entry.label for entry in comparison.entries)
    budget_text = f", trained for {' or '.join(ends)}, whichever came first" if ends else ""
    if len(ends) == 1:
        budget_text = f", trained for {ends[0]}"
    return (
        f"{names} on {data.get('name', 'the same data')} at {data.get('image_size')} px"
        f"{budget_text}; seed{'s' if len(comparison.seeds) > 1 else ''} {seeds}; {device}."
    )


def title(name: str) -> str:
    """A metric's name for the reader."""
    kind = name.partition("/")[0]
    return TITLES.get(kind, kind.replace("_", " "))


def extractor(name: str) -> str:
    """Whose features a metric is taken from; empty for those without."""
    return name.partition("/")[2]


def stamp_text(stamp: dict[str, Any]) -> str:
    """A stamp as lines for a tooltip."""
    return "\n".join(f"{key}: {value}" for key, value in stamp.items())


def data_uri(path: Path) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _charts(entry: Entry) -> tuple[Markup, Markup]:
    """The entry's losses against minutes of training and against images seen."""
    pairs = (("seconds", 60.0, "minutes of training"), ("images", 1.0, "images seen"))
    return tuple(  # type: ignore[return-value]
        Markup(
            chart(
                [line for run in entry.runs for line in _lines(run, key, unit)],
                x_label=text,
                title=f"{entry.label}: loss against {text}",
            )
        )
        for key, unit, text in pairs
    )


def _lines(run: RunRecord, key: str, unit: float) -> Iterator[Line]:
    for kind in ("train", "validation"):
        name = f"{kind}/total"
        points = [(p[key] / unit, p[name]) for p in run.curves if name in p]
        yield Line(f"{kind}, seed {run.seed}", kind, points)
