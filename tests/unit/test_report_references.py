"""Reference rows in tables and pages: shown once, and never ranked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.document import document
from genzoo.report.html import html
from genzoo.report.markdown import markdown
from genzoo.report.references import reference_notes, references
from genzoo.report.runs import find_runs, load_run
from genzoo.report.terminal import print_table
from tests.fake_runs import FRECHET, edit_json, metric, write_run

NEAR = {FRECHET: {"images": 48, "value": 30.0, "real_held_out": 10.0}}


def write(
    folder: Path, model: str, value: float, *, real: float = 5.0, near: Any = NEAR, **changed: Any
) -> None:
    run = write_run(folder / model, model=model, metrics=metric(FRECHET, value))
    rows = {
        "real_held_out": {
            "label": "real, held out", "images": 48, "split": "validation",
            "metrics": metric(FRECHET, real, reference_indices="x", **changed),
        },
        "training_again": {
            "label": "training images again", "images": 60, "split": "train",
            "metrics": metric(FRECHET, 1.25),
        },
    }  # fmt: skip
    edit_json(run / "results.json", references=rows, closeness=near)


def compare(folder: Path) -> Comparison:
    return compare_runs([load_run(run) for run in find_runs([folder])])


def test_they_are_shown_once_and_never_ranked(tmp_path: Path) -> None:
    write(tmp_path, "gan", 40.0)
    write(tmp_path, "vae", 20.0)
    comparison = compare(tmp_path)
    held, again = references(comparison)
    assert (held.label, held.cells[FRECHET].value) == ("real, held out · 48 images", 5.0)
    assert (again.label, again.cells[FRECHET].rank) == ("training images again · 60 images", None)
    assert [e.cells[FRECHET].rank for e in comparison.entries] == [None, "best"]
    console = Console(width=120, file=io.StringIO())
    print_table(comparison, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (shown, html(comparison), markdown(comparison)):
        assert "real, held out" in text
        assert "training images again" in text
        assert "5.0" in text
    rows = document(comparison)["references"]
    assert [(row["name"], row["metrics"][FRECHET]["value"]) for row in rows] == [
        ("real_held_out", 5.0), ("training_again", 1.25),
    ]  # fmt: skip


def test_how_close_to_real_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, "gan", 40.0)
    write(tmp_path, "vae", 20.0, near={FRECHET: {**NEAR[FRECHET], "value": 8.0}})
    notes = reference_notes(compare(tmp_path))
    assert "Real images are not ranked" in notes[0]
    assert notes[1] == (
        "Fréchet distance (efficientnet_lite0), how many times that of held-out real images "
        "(48 of each): gan 3 and vae 0.8; below 1 is nearer than new real images are, as copies "
        "would be."
    )


def test_references_that_are_not_the_same_are_not_shown_as_one(tmp_path: Path) -> None:
    write(tmp_path, "gan", 40.0)
    write(tmp_path, "vae", 20.0, data_fingerprint="other")
    comparison = compare(tmp_path)
    held, again = references(comparison)
    assert FRECHET not in held.cells
    assert FRECHET in again.cells
    assert "not the same for all runs" in reference_notes(comparison)[-1]


def test_older_results_have_none(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    broken = write_run(tmp_path / "b", model="gan")
    rows = {"real_held_out": {"metrics": {FRECHET: {"value": "x"}}}, "other": 3}
    edit_json(broken / "results.json", references=rows, closeness={FRECHET: {"value": 1.0}})
    comparison = compare(tmp_path)
    assert references(comparison) == []
    assert reference_notes(comparison) == []
    assert "real, held out" not in html(comparison)
