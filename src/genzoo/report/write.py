"""The files of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from genzoo.core.errors import GenzooError
from genzoo.core.files import whole, write_whole
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.contact_sheet import draw_sheet
from genzoo.report.document import document
from genzoo.report.gallery import sheets
from genzoo.report.html import html
from genzoo.report.markdown import markdown
from genzoo.report.runs import find_runs, load_run
from genzoo.report.terminal import print_table

__all__ = ["print_table", "write_comparison"]


def write_comparison(
    paths: Sequence[str | Path], out: Path, *, command: str | None = None
) -> Comparison:
    """Compare runs and write comparison.html, .md, .json and, of images, .png into a folder.

    The same runs give the same bytes: the files hold no time or place of writing.

    Args:
        paths: run folders, sweep folders or patterns.
        out: the folder to write to; it is made.
        command: what was typed, for the page.

    Raises:
        UsageError: when a path names no run.
        GenzooError: when a run's files are damaged or the folder cannot be written to.
    """
    runs = [load_run(folder) for folder in find_runs(paths)]
    comparison = compare_runs(runs, command=command)
    sheet = next(iter(sheets(comparison)), None)
    sheet_file = None if sheet is None else "comparison.png"
    files = {
        "comparison.html": html(comparison),
        "comparison.md": markdown(comparison, sheet=sheet_file),
        "comparison.json": json.dumps(
            document(comparison), indent=1, ensure_ascii=False, allow_nan=False
        )
        + "\n",
    }
    image = None if sheet is None else draw_sheet(sheet)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(out / name, content)
        if image is not None:
            with whole(out / "comparison.png") as fresh:
                image.save(fresh, optimize=True)
    except OSError as error:
        raise GenzooError(
            f"the comparison cannot be written to {out} ({error.strerror})",
            "choose a folder with hydra.run.dir=...",
        ) from error
    return comparison
