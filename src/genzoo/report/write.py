"""The files of a comparison and its table on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.html import captions, html
from genzoo.report.runs import find_runs, load_run
from genzoo.report.text import COSTS, arrow, costs, document, markdown, shown

SIDE, PAD, LABEL = 64, 6, 190  # of the picture: an image, the gap, the column of names


def write_comparison(
    paths: Sequence[str | Path], out: Path, *, command: str | None = None
) -> Comparison:
    """Compare runs and write comparison.html, .md, .json and .png into a folder.

    Args:
        paths: run folders, sweep folders or patterns.
        out: the folder to write to; it is made.
        command: what was typed, for the page.

    Raises:
        UsageError: when a path names no run.
        GenzooError: when a run's files are damaged.
    """
    runs = [load_run(folder) for folder in find_runs(paths)]
    comparison = compare_runs(runs, command=command)
    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.html").write_text(html(comparison), encoding="utf-8")
    (out / "comparison.md").write_text(markdown(comparison), encoding="utf-8")
    content = json.dumps(document(comparison), indent=1, ensure_ascii=False)
    (out / "comparison.json").write_text(content + "\n", encoding="utf-8")
    picture = side_by_side(comparison)
    if picture is not None:
        picture.save(out / "comparison.png")
    return comparison


def print_table(comparison: Comparison) -> None:
    """The metrics and costs on the terminal."""
    table = Table(title="Comparison", title_justify="left")
    table.add_column("")
    for entry in comparison.entries:
        table.add_column(entry.label, justify="right")
    for metric in comparison.metrics:
        cells = [entry.cells.get(metric.name) for entry in comparison.entries]
        mark = "" if metric.note is None else " †"
        table.add_row(
            f"{metric.name} {arrow(metric.better)}{mark}",
            *(f"[bold]{shown(c)}[/bold]" if c is not None and c.best else shown(c) for c in cells),
        )
    table.add_section()
    prices = [costs(entry) for entry in comparison.entries]
    for name in COSTS:
        table.add_row(name, *(price[name] for price in prices))
    console = Console()
    console.print(table)
    for metric in comparison.metrics:
        if metric.note is not None:
            console.print(f"† {metric.name}: {metric.note}")
    for run in comparison.failed:
        console.print(f"failed: {run.folder.name}: {run.error or 'it did not finish'}")


def side_by_side(comparison: Comparison) -> Image.Image | None:
    """Real images, then each model's samples for the same captions, then reconstructions."""
    items = captions(comparison)
    if not items:
        return None
    rows: list[tuple[str, list[Path | None]]] = [("real", [item["real"] for item in items])]
    for k, entry in enumerate(comparison.entries):
        rows.append((entry.label, [item["pictures"][k].sample for item in items]))
    for k, entry in enumerate(comparison.entries):
        rebuilt = [item["pictures"][k].reconstruction for item in items]
        if any(rebuilt):
            rows.append((f"{entry.label}, reconstructed", rebuilt))
    canvas = Image.new(
        "RGB",
        (LABEL + len(items) * (SIDE + PAD) + PAD, len(rows) * (SIDE + PAD) + PAD),
        "white",
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    for row, (label, paths) in enumerate(rows):
        top = PAD + row * (SIDE + PAD)
        draw.text((PAD, top + SIDE // 2 - 8), label[:30], fill="black", font=font)
        for column, path in enumerate(paths):
            if path is not None:
                with Image.open(path) as image:
                    canvas.paste(
                        image.resize((SIDE, SIDE), Image.Resampling.NEAREST),
                        (LABEL + column * (SIDE + PAD), top),
                    )
    return canvas
