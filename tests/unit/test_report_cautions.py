"""What is said of a metric beside its number."""

import re
from pathlib import Path

from genzoo.report.cautions import caution
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.document import document
from genzoo.report.html import html
from genzoo.report.markdown import markdown
from genzoo.report.runs import find_runs, load_run
from genzoo.report.text import footnotes
from tests.fake_runs import FRECHET, KERNEL, metric, write_run

SCORE = "inception_score"


def compared(folder: Path, *, floor: float | None) -> Comparison:
    for model, value in (("vae", 30.0), ("gan", 20.0)):
        metrics = metric(KERNEL, value / 100) | metric(FRECHET, value)
        if floor is not None:
            metrics[FRECHET]["floor"] = floor
        write_run(folder / model, model=model, metrics=metrics)
    return compare_runs([load_run(run) for run in find_runs([folder])])


def test_a_recorded_floor_is_a_footnote_and_forbids_no_ranking(tmp_path: Path) -> None:
    comparison = compared(tmp_path, floor=16.3)
    (note,) = footnotes(comparison)
    assert note.startswith(
        "Fréchet distance (efficientnet_lite0): with 12 samples against 40 real"
    )
    assert "a perfect model would score about 16;" in note
    kernel, frechet = comparison.metrics
    assert frechet.ranked
    assert not kernel.footnoted
    assert document(comparison)["metrics"][1]["caution"] == frechet.caution
    assert "about 16" in markdown(comparison)
    page = html(comparison)
    assert "about 16" in page
    assert re.findall(r"<h4>(.*?) †", page) == ["Fréchet distance"]


def test_without_a_floor_nothing_is_said(tmp_path: Path) -> None:
    comparison = compared(tmp_path, floor=None)
    assert not footnotes(comparison)
    assert document(comparison)["metrics"][1]["caution"] is None


def test_what_an_inception_score_and_an_extrapolation_depend_on() -> None:
    own = metric(SCORE, 8.0, settings="10 splits, permutation 2020")[SCORE]
    assert "10 splits, permutation 2020; it rises with" in (caution(SCORE, [own]) or "")
    name = "fid_infinity"
    own = metric(name, 8.0, settings="line over 1/N through N = 16, 8, 4, order 2020")[name]
    assert "N = 16, 8, 4" in (caution(name, [own]) or "")
    assert "40 real images lack" in (caution(name, [own]) or "")
    assert caution("precision/domain", [own]) is None
