from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from genzoo.core.errors import GenzooError, UsageError
from genzoo.core.image import save_png
from genzoo.report.chart import Line, chart, ticks
from genzoo.report.comparison import compare_runs
from genzoo.report.html import html
from genzoo.report.markdown import markdown
from genzoo.report.runs import find_runs, load_run
from genzoo.report.text import table
from genzoo.report.write import print_table, write_comparison

STAMP = {"metric": "frechet_distance/x", "extractor": "x", "generated_images": 10, "git": "a"}
CAPTION = '<script>alert("x")</script> a very | long caption'


def run_folder(
    folder: Path,
    *,
    model: str = "vae",
    seed: int = 0,
    value: float = 1.0,
    stamp: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
) -> Path:
    """A run folder as the tasks write it."""
    gallery = folder / "gallery"
    gallery.mkdir(parents=True)
    image = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    for name in ("real-0.png", "sample-0.png", "reconstruction-0.png", "interpolation.png"):
        save_png(gallery / name, image)
    item = {
        "index": 3, "caption": CAPTION, "seed": 0, "real": "real-0.png",
        "sample": "sample-0.png", "reconstruction": "reconstruction-0.png",
    }  # fmt: skip
    (gallery / "gallery.json").write_text(
        json.dumps(
            {"items": [item], "interpolation": "interpolation.png", "attribution": "By somebody"}
        )
    )
    settings = {"seed": seed, "model": {"name": model, **(config or {})}, "data": {"name": "d"}}
    (folder / "config.yaml").write_text(json.dumps(settings))
    points = [{"images": 10 * k, "seconds": k, "train/total": 1 / (k + 1)} for k in range(5)]
    (folder / "curves.jsonl").write_text("\n".join(map(json.dumps, points)) + '\n{"cut o')
    metric = {"value": value, "spread": None, "better": "lower", "stamp": stamp or STAMP}
    metric |= {"standard_error": 0.1, "interval": [value - 0.2, value + 0.2]}
    results = {
        "schema": 1,
        "model": {
            "name": model,
            "parameters": 5,
            "sampling": "prior",
            "capabilities": {"conditions": ["text"], "likelihood": None},
        },
        "seed": seed,
        "metrics": {"frechet_distance/x": metric, **(extra or {})},
        "training": {
            "images_seen": 40, "seconds": 4.0, "images_per_second": 10.0,
            "peak_memory_bytes": 2**30,
        },
        "sampling": {"seconds_per_image": 0.1},
        "command": f"python -m genzoo model={model} seed={seed}",
        "provenance": {"version": "0", "device": "cpu"},
        "attribution": "By somebody",
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def loaded(*folders: Path) -> Any:
    return compare_runs([load_run(folder) for folder in folders], command="python -m genzoo -m")


def test_seeds_are_one_entry_with_their_spread(tmp_path: Path) -> None:
    comparison = loaded(
        run_folder(tmp_path / "a", seed=1, value=3.0),
        run_folder(tmp_path / "b", seed=0, value=1.0),
        run_folder(tmp_path / "c", model="autoencoder", value=50.0),
        run_folder(tmp_path / "d", model="autoencoder", value=52.0, seed=1),
    )
    assert [entry.label for entry in comparison.entries] == ["vae", "autoencoder"]
    cell = comparison.entries[0].cells["frechet_distance/x"]
    assert cell.value == 2.0
    assert cell.spread == pytest.approx(2**0.5)
    assert cell.best
    assert not comparison.entries[1].cells["frechet_distance/x"].best
    assert comparison.entries[0].first.seed == 0


def test_what_differs_between_runs_of_a_model_is_in_the_label(tmp_path: Path) -> None:
    comparison = loaded(
        run_folder(tmp_path / "a", config={"beta": 1, "latent": 8}),
        run_folder(tmp_path / "b", config={"beta": 2, "latent": 8}),
        run_folder(tmp_path / "c", model="autoencoder", config={"latent": 4}),
    )
    assert [entry.label for entry in comparison.entries] == [
        "vae · model.beta=1", "vae · model.beta=2", "autoencoder",
    ]  # fmt: skip


@pytest.mark.parametrize(("key", "ranked"), [("generated_images", False), ("git", True)])
def test_numbers_measured_differently_are_never_ranked(
    tmp_path: Path, key: str, ranked: bool
) -> None:
    comparison = loaded(
        run_folder(tmp_path / "a", value=1.0),
        run_folder(tmp_path / "b", model="autoencoder", value=2.0, stamp={**STAMP, key: 99}),
    )
    cells = [entry.cells["frechet_distance/x"] for entry in comparison.entries]
    assert [cell.best for cell in cells] == [ranked, False]
    (metric,) = comparison.metrics
    assert (metric.note is None) == ranked
    if not ranked:
        assert "generated\\_images is 10 (vae), 99 (autoencoder)" in markdown(comparison)
        assert "generated_images is 10 (vae), 99 (autoencoder)" in html(comparison)


def test_higher_is_better_where_it_says_so_and_ties_have_no_best(tmp_path: Path) -> None:
    def extra(score: float) -> dict[str, Any]:
        same = {"value": 7.0, "spread": 0.5, "better": "lower", "stamp": STAMP}
        return {
            "score": {
                "value": score,
                "spread": None,
                "better": "higher",
                "stamp": STAMP,
                "standard_error": 0.1,
            },
            "same": same,
        }

    comparison = loaded(
        run_folder(tmp_path / "a", extra=extra(1.0)),
        run_folder(tmp_path / "b", model="autoencoder", extra=extra(2.0)),
    )
    assert [e.cells["score"].best for e in comparison.entries] == [False, True]
    assert [e.cells["same"].best for e in comparison.entries] == [False, False]


def test_what_a_model_cannot_do_is_absent(tmp_path: Path) -> None:
    bits = {"bits": {"value": 3.0, "spread": None, "better": "lower", "stamp": STAMP}}
    comparison = loaded(
        run_folder(tmp_path / "a", extra=bits), run_folder(tmp_path / "b", model="gan")
    )
    assert "bits" not in comparison.entries[1].cells
    assert not comparison.entries[0].cells["bits"].best  # nothing to be ahead of
    assert "| Bits ↓ | 3.000 | n/a |" in markdown(comparison)
    columns, rows = table(comparison)
    assert rows[1][columns.index("bits")] is None


def test_the_page_stands_alone_and_escapes_what_captions_say(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / "a"), run_folder(tmp_path / "b", model="autoencoder")]
    failed = tmp_path / "f"
    failed.mkdir()
    (failed / "error.txt").write_text("the loss became nan\n")
    write_comparison([*runs, failed], tmp_path / "out", command="python -m genzoo -m x")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page) + re.findall(r"url\((.{0,30})", page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "the loss became nan" in page
    assert "By somebody" in page
    assert "python -m genzoo -m x" in page
    assert page.count("<polyline") == 4  # two models against minutes and images
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write_comparison([*runs, failed], tmp_path / "out", command="python -m genzoo -m x")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    assert set(first) == {f"comparison.{kind}" for kind in ("html", "md", "json", "png")}


def test_sweep_folders_and_patterns_are_expanded_in_order(tmp_path: Path) -> None:
    for k in (10, 2, 0):
        run_folder(tmp_path / "sweep" / f"{k}-vae", seed=k)
    names = [path.name for path in find_runs([tmp_path / "sweep", tmp_path / "sweep" / "2-*"])]
    assert names == ["0-vae", "2-vae", "10-vae"]
    with pytest.raises(UsageError, match="no run"):
        find_runs([tmp_path / "nothing"])
    with pytest.raises(UsageError, match="no run folder"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "..", 3])
def test_a_gallery_cannot_name_files_elsewhere(tmp_path: Path, name: object) -> None:
    folder = run_folder(tmp_path / "a")
    path = folder / "gallery" / "gallery.json"
    content = json.loads(path.read_text())
    content["items"][0]["sample"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(GenzooError, match="outside its folder"):
        load_run(folder)


def test_damaged_results_are_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "a")
    (folder / "results.json").write_text('{"schema": 1')
    with pytest.raises(GenzooError, match="damaged"):
        load_run(folder)


def test_the_terminal_shows_labels_and_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = tmp_path / "f"
    failed.mkdir()
    (failed / "error.txt").write_text("no luck")
    print_table(loaded(run_folder(tmp_path / "a"), failed))
    out = capsys.readouterr().out
    assert "vae" in out
    assert "no luck" in out


def test_charts_have_round_ticks_and_survive_flat_or_absent_curves() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert chart([], x_label="x", title="t") == ""
    assert chart([Line("a", "train", [])], x_label="x", title="t") == ""
    flat = chart([Line("a", "train", [(0, 1.0), (1, 1.0)])], x_label="x", title="t")
    assert "polyline" in flat
    assert "nan" not in flat
