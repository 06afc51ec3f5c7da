"""A panel for each metric: its sentence, its heading, real images, intervals, closeness."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from genzoo.metrics.revisions import REVISIONS
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.html import html
from genzoo.report.lanes import Lane, Scale, lane, scale_of
from genzoo.report.markdown import markdown
from genzoo.report.meanings import sentence
from genzoo.report.panels import blocks
from genzoo.report.runs import find_runs, load_run
from genzoo.report.text import extractor, qualified, title
from tests.fake_runs import FRECHET, KERNEL, edit_json, metric, write_run

PRECISION, CLIP, PARTS = "precision/efficientnet_lite0", "clip_score", "caption_accuracy"


def compared(folder: Path, **references: Any) -> Comparison:
    for model, share in (("gan", 0.3), ("vae", 0.6)):
        metrics = (
            metric(FRECHET, 20.0)
            | metric(PRECISION, share, better="higher")
            | metric(KERNEL, 0.06)
            | metric(CLIP, 10 + 10 * share, better="higher", extractor=None, captions="x")
        )
        if model == "vae":
            for part in ("all", "count", "shuffled"):
                metrics |= metric(f"{PARTS}/{part}", share, better="higher", extractor=None,
                                  real_images=None, caption_split="train")  # fmt: skip
        run = write_run(folder / model, model=model, metrics=metrics)
        near = {FRECHET: {"images": 12, "value": 24.0, "real_held_out": 8.0}}
        edit_json(run / "results.json", references=references, closeness=near)
    return compare_runs([load_run(run) for run in find_runs([folder])])


def row(label: str, **metrics: Any) -> dict[str, Any]:
    return {"label": label, "images": 12, "metrics": metrics.pop("of")}


HELD = row("real, held out", of=metric(PRECISION, 0.75, better="higher", reference_split="test")
           | metric(KERNEL, 0.02, reference_split="test"))  # fmt: skip
AGAIN = row("training images again", of=metric(PRECISION, 1.0, better="higher"))
OWN = row(
    "real images, own captions",
    of=metric(CLIP, 20.0, better="higher", extractor=None, real_images=None, captions="x"),
)
OTHER = row(
    "real images, shuffled captions", of=metric(CLIP, 10.0, better="higher", extractor=None)
)
ROWS = {"real_held_out": HELD, "training_again": AGAIN, "real_captions": OWN,
        "shuffled_captions": OTHER}  # fmt: skip


def test_every_metric_of_genzoo_has_one_sentence_for_everybody() -> None:
    for kind in REVISIONS:
        words = sentence(kind)
        assert words.endswith("."), kind
        assert len(words) < 180, kind
        assert not re.search(r"\b(feature|distribution|covariance|kernel|manifold)s?\b", words)
    assert sentence("fid") == sentence(FRECHET) != ""
    assert sentence("mine/x") == ""
    assert sentence("caption_accuracy/count") != sentence("caption_accuracy/all") != ""


def test_parts_of_caption_accuracy_are_no_networks(tmp_path: Path) -> None:
    assert (title(f"{PARTS}/count"), extractor(f"{PARTS}/count")) == (
        "Caption accuracy, count",
        "",
    )
    assert qualified("recall_at_1/image_to_text/t_10") == "Recall at 1, image to text, t 10"
    headings = {
        panel.metric.name: heading
        for heading, panels in blocks(compared(tmp_path))
        for panel in panels
    }
    assert headings[f"{PARTS}/all"] == headings[f"{PARTS}/count"]
    assert headings[f"{PARTS}/all"] == "Samples and their captions, of the train split"
    assert headings[FRECHET] == "Samples against train images, features of efficientnet_lite0"


def test_real_images_are_rows_and_marks_and_say_how_close(tmp_path: Path) -> None:
    comparison = compared(tmp_path, **ROWS)
    panels = {p.metric.name: p for _, group in blocks(comparison) for p in group}
    near = {name: (p.near, [r.near for r in p.rows if not r.real]) for name, p in panels.items()}
    assert near[FRECHET] == ("times real", ["3", "3"])
    assert near[PRECISION] == ("of real", ["40 %", "80 %"])
    assert near[KERNEL] == ("", ["", ""]), "nothing is a multiple of what may be 0"
    assert near[CLIP] == ("from chance to real", ["30 %", "60 %"])
    real = [r for r in panels[PRECISION].rows if r.real]
    assert [r.label.split(" · ")[0] for r in real] == ["real, held out", "training images again"]
    assert all(r.cell.rank is None for r in real)
    assert all(r.lane.count('class="real ') == 2 for r in panels[PRECISION].rows)
    page = html(comparison)
    assert "from chance to real" in page
    assert sentence(FRECHET) in page
    assert sentence(FRECHET) in markdown(comparison)


def test_closeness_needs_equal_stamps(tmp_path: Path) -> None:
    fewer = row("real, held out", of=metric(PRECISION, 0.75, better="higher", generated_images=5))
    panels = {p.metric.name: p for _, group in blocks(compared(tmp_path, real_held_out=fewer))
              for p in group}  # fmt: skip
    assert panels[PRECISION].near == ""


@pytest.mark.parametrize("changed", [{"captions": "y"}, {"scorer_weights": "other"}])
def test_closeness_needs_the_same_captions_and_the_same_scorer(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    stamp = {"extractor": None, "captions": "x", **changed}
    own = row("own", of=metric(CLIP, 20.0, better="higher", **stamp))
    comparison = compared(tmp_path, real_captions=own, shuffled_captions=OTHER)
    panels = {p.metric.name: p for _, group in blocks(comparison) for p in group}
    assert panels[CLIP].near == ""


def test_who_lacks_a_metric_is_named_below_it(tmp_path: Path) -> None:
    comparison = compared(tmp_path)
    panels = {p.metric.name: p for _, group in blocks(comparison) for p in group}
    assert panels[f"{PARTS}/all"].absent == ("gan",)
    assert [r.label for r in panels[f"{PARTS}/all"].rows] == ["vae"]
    assert "n/a: gan" in html(comparison)


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_better_is_right_and_an_interval_squeezes_nothing(better: str) -> None:
    lanes = [Lane("a", "hue0", (1.0,), (-100.0, 100.0)), Lane("b", "hue1", (3.0, math.nan), None)]
    scale = scale_of(lanes, better=better)
    assert scale is not None
    low, high = scale.place(1.0), scale.place(3.0)
    assert (low > high) == (better == "lower")
    assert abs(low - high) > 40
    drawing = lane(lanes[0], scale, marks=[("<real>", 2.0)])
    assert "&lt;real&gt;" in drawing
    places = [float(x) for x in re.findall(r'x[12]="([\d.]+)%"', drawing)]
    assert all(0 <= x <= 100 for x in places)
    assert scale_of([Lane("a", "hue0", (math.nan,))], better=better) is None
    assert Scale(2.0, 2.0).place(2.0) == 50.0
