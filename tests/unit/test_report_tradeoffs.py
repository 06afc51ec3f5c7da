"""Quality against time per sample, sampler steps and the scale of guidance."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.html import html
from genzoo.report.runs import find_runs, load_run
from genzoo.report.scatter import Spot, scatter
from genzoo.report.tradeoffs import against_time, devices_note, guidance
from tests.fake_runs import FRECHET, edit_json, metric, write_run


def write(folder: Path, model: str, k: int, *, seconds: float = 0.1, **config: Any) -> None:
    metrics = (
        metric(FRECHET, 30.0 - k)
        | metric("clip_score", 20.0 + k, better="higher")
        | metric("precision/efficientnet_lite0", 0.5 + k / 50, better="higher")
        | metric("recall/efficientnet_lite0", 0.5 - k / 50, better="higher")
    )
    run = write_run(folder / f"{model}-{k}", model=model, metrics=metrics, config=config)
    edit_json(run / "results.json", sampling={"seconds_per_image": seconds})


def compare(folder: Path) -> Comparison:
    return compare_runs([load_run(run) for run in find_runs([folder])])


def names(svg: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", svg)


def test_runs_that_differ_in_steps_are_one_line_with_the_steps_beside_the_points(
    tmp_path: Path,
) -> None:
    for k, steps in enumerate((100, 5, 20)):
        write(tmp_path, "glide", k, seconds=steps / 1000, sampler={"name": "ddim", "steps": steps})
    write(tmp_path, "vae", 9, seconds=0.001)
    frechet, clip = against_time(compare(tmp_path))
    assert frechet.label == "Fréchet distance (efficientnet_lite0) against milliseconds per sample"
    assert clip.label.startswith("CLIP score against")
    for drawing in (frechet.svg, clip.svg):
        assert drawing.count("<circle") == 4
        assert drawing.count("<polyline") == 1
        assert {"5 steps", "20 steps", "100 steps", "vae"} <= set(names(drawing))
    (line,) = re.findall(r'points="([^"]+)"', frechet.svg)
    across = [float(point.split(",")[0]) for point in line.split()]
    assert across == sorted(across), "in the order of time"
    assert not guidance(compare(tmp_path))


def test_runs_that_differ_in_the_scale_of_guidance_are_a_curve(tmp_path: Path) -> None:
    for k, scale in enumerate((8.0, 1.0, 3.0)):
        write(tmp_path, "glide", k, guidance={"name": "classifier_free", "scale": scale})
    write(tmp_path, "vae", 9)
    comparison = compare(tmp_path)
    figures = guidance(comparison)
    assert [figure.label for figure in figures] == [
        "Fréchet distance (efficientnet_lite0) against CLIP score",
        "Recall (efficientnet_lite0) against Precision",
    ]
    for figure in figures:
        assert figure.svg.count("<circle") == 3, "one a scale, and nobody else"
        assert figure.svg.count("<polyline") == 1
        assert {"1", "3", "8"} <= set(names(figure.svg))
    assert "What guidance gains and costs" in html(comparison)
    assert against_time(comparison) == [], "all take as long"


def test_nothing_is_drawn_of_runs_that_differ_in_more_or_were_not_timed(tmp_path: Path) -> None:
    for k, scale in enumerate((1.0, 3.0)):
        write(tmp_path, "glide", k, guidance={"scale": scale}, optimizer={"lr": k})
    comparison = compare(tmp_path)
    assert guidance(comparison) == []
    assert "What guidance" not in html(comparison)
    for run in find_runs([tmp_path]):
        edit_json(run / "results.json", sampling={})
    assert against_time(compare(tmp_path)) == []


def test_numbers_that_are_not_ranked_are_not_set_against_time(tmp_path: Path) -> None:
    for k, real in enumerate((40, 50)):
        run = write_run(tmp_path / f"{k}", model=f"m{k}",
                        metrics=metric(FRECHET, 3.0 + k, real_images=real))  # fmt: skip
        edit_json(run / "results.json", sampling={"seconds_per_image": 1.0 + k})
    assert against_time(compare(tmp_path)) == []


def test_several_devices_are_named(tmp_path: Path) -> None:
    write(tmp_path, "vae", 1)
    assert devices_note(compare(tmp_path)) == ""
    write(tmp_path, "gan", 2)
    edit_json(tmp_path / "gan-2" / "results.json", provenance={"device": "a GPU"})
    assert "of different devices (a GPU and cpu)" in devices_note(compare(tmp_path))


def test_names_cover_neither_points_nor_one_another_and_are_escaped() -> None:
    spots = [[Spot(f"<{k}> name", "hue0", (1.0, 1.0 + k / 1000), "")] for k in range(30)]
    drawing = scatter(spots, x_label="x", y_label="y", title="<t>")
    assert "<t>" not in drawing
    assert "&lt;0&gt; name" in drawing
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>&lt;', drawing)
    assert len(places) == len(set(places)) < 30, "where there is no room there is no name"
    assert scatter([], x_label="x", y_label="y", title="t") == ""
