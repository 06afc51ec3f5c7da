"""Unequal budgets are said, and nothing is best across them without a word."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from genzoo.report.budgets import budget_lines
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.document import document
from genzoo.report.html import html
from genzoo.report.markdown import markdown
from genzoo.report.runs import find_runs, load_run
from genzoo.report.terminal import print_table
from tests.fake_runs import FRECHET, edit_json, metric, write_run

EQUAL = {"images_seen": 1000, "seconds": 90.0}


def compared(
    folder: Path, *, gan: dict[str, Any], origin: str | None = None, parameters: int = 1234
) -> Comparison:
    for model, value, training in (("vae", 30.0, EQUAL), ("gan", 20.0, gan)):
        run = write_run(folder / model, model=model, metrics=metric(FRECHET, value))
        about = {"name": model, "parameters": 1234}
        if model == "gan":
            about |= {"parameters": parameters, "origin": origin}
        edit_json(run / "results.json", training=training, model=about)
    return compare_runs([load_run(run) for run in find_runs([folder])])


def printed(comparison: Comparison) -> str:
    console = Console(width=140, file=io.StringIO())
    print_table(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_equal_budgets_are_said_in_one_line_and_a_best_is_a_best(tmp_path: Path) -> None:
    comparison = compared(tmp_path, gan={"images_seen": 1010, "seconds": 100.0})
    assert budget_lines(comparison) == [
        "Equal budgets: images seen, training time and parameters."
    ]
    assert "‡" not in html(comparison) + markdown(comparison) + printed(comparison)
    assert not document(comparison)["metrics"][0]["unequal_budgets"]


def test_what_is_unequal_is_named_with_its_values_and_the_best_is_marked(tmp_path: Path) -> None:
    comparison = compared(
        tmp_path,
        gan={"images_seen": 4000, "seconds": 360.0},
        origin="zoo/gan",
        parameters=2468,
    )
    first, images, seconds, parameters, ready = budget_lines(comparison)
    assert first == "Unequal budgets. ‡ marks what is best among rows that had unequal ones."
    assert images == (
        "Images seen in training: from 1,000 (vae) to 4,000 (gan (from zoo/gan)), a factor of 4."
    )
    assert "from 1.5 min (vae) to 6.0 min (gan (from zoo/gan))" in seconds
    assert "a factor of 2" in parameters
    assert ready == "gan (from zoo/gan) was trained elsewhere or before; the others here."
    page = html(comparison)
    assert "(best)</span>‡</span>" in page
    assert "Unequal budgets" in page
    assert "**20.00 [19.98, 20.02]** ‡" in markdown(comparison)
    assert "20.00 [19.98, 20.02] ‡" in printed(comparison)
    plain = document(comparison)
    assert plain["metrics"][0]["unequal_budgets"]
    assert plain["budgets"][1] == images


def test_a_budget_that_nobody_recorded_is_not_taken_for_equal(tmp_path: Path) -> None:
    comparison = compared(tmp_path, gan={"images_seen": None})
    assert budget_lines(comparison)[1:] == [
        "Images seen in training: not recorded for gan.", "Training time: not recorded for gan.",
    ]  # fmt: skip


def test_one_entry_has_no_budgets_to_compare(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    assert budget_lines(compare_runs([load_run(tmp_path / "a")])) == []


def test_images_of_another_program_have_no_budget_at_all(tmp_path: Path) -> None:
    compared(tmp_path, gan={})
    edit_json(tmp_path / "gan" / "results.json", model={"name": "gan"})
    comparison = compare_runs([load_run(run) for run in find_runs([tmp_path])])
    assert budget_lines(comparison)[1:] == ["No budget is recorded for gan."]
    assert "‡" in markdown(comparison)
