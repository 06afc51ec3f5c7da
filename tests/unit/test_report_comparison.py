"""What is grouped, averaged and ranked, and what is not."""

from __future__ import annotations

import io
import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from genzoo.report.comparison import Cell, Comparison, compare_runs
from genzoo.report.document import document
from genzoo.report.html import html
from genzoo.report.intervals import interval_notes, rank_note, spread_note
from genzoo.report.labels import group_runs
from genzoo.report.markdown import markdown
from genzoo.report.runs import find_runs, load_run
from genzoo.report.terminal import print_table
from genzoo.report.text import (
    COSTS,
    decimals,
    footnotes,
    shown,
    table,
)
from tests.fake_runs import FRECHET, KERNEL, edit_json, metric, write_failed, write_run


def compare(folder: Path) -> Comparison:
    return compare_runs([load_run(run) for run in find_runs([folder])], command="genzoo -m x")


def runs(folder: Path, values: dict[str, list[float]], **more: Any) -> Comparison:
    for model, numbers in values.items():
        for seed, value in enumerate(numbers):
            metrics = metric(FRECHET, value, **more)
            write_run(folder / f"{model}-{seed}", model=model, seed=seed, metrics=metrics)
    return compare(folder)


def test_mean_and_spread_over_seeds(tmp_path: Path) -> None:
    comparison = runs(tmp_path, {"vae": [10.0, 11.0, 15.0], "gan": [20.0, 20.5, 19.5]})
    gan, vae = comparison.entries
    cell = vae.cells[FRECHET]
    assert (vae.label, cell.trainings, cell.value) == ("vae", 3, 12.0)
    assert cell.spread == pytest.approx(statistics.stdev([10.0, 11.0, 15.0]))
    assert (cell.rank, gan.cells[FRECHET].rank) == ("best", None)
    assert comparison.seeds == [0, 1, 2]


def test_one_training_has_the_interval_over_its_samples_and_says_so(tmp_path: Path) -> None:
    comparison = runs(tmp_path, {"vae": [10.0]}, spread=0.5, error=0.25)
    cell = comparison.entries[0].cells[FRECHET]
    assert (cell.spread, cell.trainings, cell.interval) == (0.5, 1, (9.5, 10.5))
    assert shown(cell, 2) == "10.00 [9.50, 10.50]"
    entry = document(comparison)["entries"][0]["metrics"][FRECHET]
    assert (entry["spread_over"], entry["interval_over"]) == ("estimate", "samples")
    (note,) = interval_notes(comparison)
    assert note.startswith("Fréchet distance: [ ] is the 95 % interval over samples of this one ")
    for text in (markdown(comparison), html(comparison), " ".join(terminal(comparison).split())):
        assert "the 95 % interval over samples of this one training" in text.replace("\\", "")


def test_what_was_measured_before_there_were_intervals_is_read_and_not_separated(
    tmp_path: Path,
) -> None:
    comparison = runs(tmp_path, {"vae": [10.0], "gan": [90.0]}, spread=0.5, error=None)
    cells = [entry.cells[FRECHET] for entry in comparison.entries]
    assert [cell.rank for cell in cells] == ["not separated"] * 2
    assert shown(cells[1], 2) == "10.00 (± 0.50)"
    assert "no interval recorded" in interval_notes(comparison)[0]
    assert "no interval" in spread_note(comparison)
    assert document(comparison)["metrics"][0]["tests"] == {
        "over": [], "without": ["no interval recorded"],
    }  # fmt: skip


@pytest.mark.parametrize(("better", "best"), [("lower", "a"), ("higher", "b"), ("sideways", None)])
def test_the_direction_decides(tmp_path: Path, better: str, best: str | None) -> None:
    comparison = runs(tmp_path, {"a": [1.0], "b": [2.0]}, better=better)
    ahead = [entry.label for entry in comparison.entries if entry.cells[FRECHET].best]
    assert ahead == ([best] if best else [])


def test_who_is_not_separated_from_the_best_number(tmp_path: Path) -> None:
    values = {"a": [9.0, 10.0, 11.0], "b": [10.5, 10.0, 12.0], "c": [130.0, 132.0, 131.0]}
    comparison = runs(tmp_path, values)
    cells = [entry.cells[FRECHET] for entry in comparison.entries]
    assert [cell.rank for cell in cells] == ["not separated", "not separated", None]
    assert cells[2].p is not None
    assert cells[2].p < 0.05 < cells[1].p
    assert "≈ 10.0 ± 1.0" in markdown(comparison)
    assert "**" not in markdown(comparison).partition("## Cost")[0]


@pytest.mark.parametrize("error", [None, 1.0])
def test_a_number_is_no_winner_by_its_mere_value(tmp_path: Path, error: float | None) -> None:
    comparison = runs(tmp_path, {"a": [10.0], "b": [10.5]}, error=error)
    assert [entry.cells[FRECHET].best for entry in comparison.entries] == [False, False]
    assert "best" not in rank_note(comparison).partition("≈")[0]


def test_one_training_sampled_three_times_is_one_training(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / f"v{seed}", seed=seed, metrics=metric(FRECHET, 20.0 + seed))
        folder = write_run(
            tmp_path / f"g{seed}", model="gan", seed=seed, metrics=metric(FRECHET, 9.0 + seed),
            config={"task": {"name": "evaluate"}, "checkpoint": "outputs/gan"},
        )  # fmt: skip
        if seed:  # the newer ones say so themselves
            content = json.loads((folder / "results.json").read_text())
            content["training"] |= {"checkpoint": "outputs/gan", "seed": 4}
            edit_json(folder / "results.json", **content)
    gan, vae = compare(tmp_path).entries
    assert (gan.trainings, vae.trainings) == (1, 3)
    cell = gan.cells[FRECHET]
    assert (cell.value, cell.values, cell.spread, cell.trainings) == (10.0, (10.0,), None, 1)
    assert (cell.rank, vae.cells[FRECHET].rank) == ("not separated", "not separated")
    assert "1 training, sampled 3 times" in terminal(compare(tmp_path))
    assert "trained once" in interval_notes(compare(tmp_path))[-1]


def test_three_trainings_measured_with_one_sampling_seed_are_three(tmp_path: Path) -> None:
    for seed in range(3):
        folder = write_run(
            tmp_path / f"{seed}", metrics=metric(FRECHET, 9.0 + seed),
            config={"task": {"name": "evaluate"}, "checkpoint": f"outputs/{seed}"},
        )  # fmt: skip
        training = {"checkpoint": f"{seed}" * 64, "seed": seed}
        edit_json(folder / "results.json", training=training)
    (entry,) = compare(tmp_path).entries
    assert (entry.trainings, entry.cells[FRECHET].spread) == (3, 1.0)
    low, high = entry.cells[FRECHET].interval or (0.0, 0.0)
    assert (low, high) == pytest.approx((10 - 4.3027 / 3**0.5, 10 + 4.3027 / 3**0.5), rel=1e-4)


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0]])
def test_nothing_is_best_alone_or_among_equals(tmp_path: Path, values: list[float]) -> None:
    comparison = runs(tmp_path, {f"m{k}": [value] for k, value in enumerate(values)})
    assert not any(entry.cells[FRECHET].best for entry in comparison.entries)


@pytest.mark.parametrize(
    "key", ["extractor_sha256", "generated_images", "real_images", "image_size", "input_size"]
)
def test_stamps_that_differ_forbid_ranking_and_say_why(tmp_path: Path, key: str) -> None:
    write_run(tmp_path / "a", model="a", metrics=metric(FRECHET, 1.0) | metric(KERNEL, 1.0))
    other = metric(FRECHET, 2.0, **{key: 77}) | metric(KERNEL, 2.0)
    write_run(tmp_path / "b", model="b", metrics=other)
    comparison = compare(tmp_path)
    a, b = comparison.entries
    assert a.cells[FRECHET].rank is None
    assert b.cells[FRECHET].rank is None
    assert a.cells[KERNEL].best, "the other metric is still ranked"
    (note,) = footnotes(comparison)
    assert "Fréchet distance" in note
    assert "Kernel" not in note
    assert key in note
    assert "77 (b)" in note
    data = document(comparison)["metrics"]
    assert [m["ranked"] for m in data] == [False, True]
    assert data[0]["differing"][key]["b"] == "77"


def test_a_seed_measured_otherwise_forbids_ranking_too(tmp_path: Path) -> None:
    write_run(tmp_path / "0", model="a", metrics=metric(FRECHET, 1.0))
    write_run(tmp_path / "1", model="a", seed=1, metrics=metric(FRECHET, 1.0, real_images=9))
    write_run(tmp_path / "2", model="b", metrics=metric(FRECHET, 2.0))
    comparison = compare(tmp_path)
    assert all(entry.cells[FRECHET].rank is None for entry in comparison.entries)
    assert "40 and 9 (a), 40 (b)" in footnotes(comparison)[0]


@pytest.mark.parametrize("key", ["guidance", "sampler", "ema", "version", "git", "sample_seed"])
def test_what_is_compared_does_not_forbid_ranking(tmp_path: Path, key: str) -> None:
    write_run(tmp_path / "a", model="a", metrics=metric(FRECHET, 1.0))
    write_run(tmp_path / "b", model="b", metrics=metric(FRECHET, 2.0, **{key: "other"}))
    comparison = compare(tmp_path)
    assert comparison.entries[0].cells[FRECHET].best
    assert not footnotes(comparison)


def test_a_doubtful_score_is_shown_and_not_ranked(tmp_path: Path) -> None:
    name = "inception_score/efficientnet_lite0"
    for model, value in (("a", 2.0), ("b", 3.0)):
        write_run(tmp_path / model, model=model, metrics=metric(name, value, better="higher"))
    comparison = compare(tmp_path)
    assert [entry.cells[name].value for entry in comparison.entries] == [2.0, 3.0]
    assert [entry.cells[name].rank for entry in comparison.entries] == [None, None]
    assert "says little" in footnotes(comparison)[0]


def test_trainings_that_were_made_once_stand_for_themselves(tmp_path: Path) -> None:
    comparison = runs(tmp_path, {"a": [1.0], "b": [2.0]})
    assert "these two trainings are compared, never the methods" in rank_note(comparison)
    more = runs(tmp_path / "more", {"a": [1.0, 1.1], "b": [2.0, 2.2]})
    assert "never the methods" not in rank_note(more)
    assert document(more)["metrics"][0]["tests"]["over"] == ["trainings"]


def test_what_a_model_cannot_do_is_absent_everywhere(tmp_path: Path) -> None:
    bits = {"bits_per_dim": metric("bits_per_dim", 3.5)["bits_per_dim"]}
    write_run(tmp_path / "a", model="a")
    write_run(tmp_path / "b", model="b", metrics=metric(FRECHET, 2.0) | bits)
    comparison = compare(tmp_path)
    assert "bits_per_dim" not in comparison.entries[0].cells
    assert comparison.entries[1].cells["bits_per_dim"].rank is None, "nothing to rank it with"
    columns, rows = table(comparison)
    assert rows[0][columns.index("bits_per_dim")] is None
    assert "| Bits per dimension ↓ | n/a | 3.500 [3.480, 3.520] |" in markdown(comparison)


def test_a_number_that_is_none_is_absent_and_nan_is_never_best(tmp_path: Path) -> None:
    write_run(tmp_path / "a", model="a", metrics=metric(FRECHET, math.nan))
    write_run(tmp_path / "b", model="b", metrics=metric(FRECHET, 2.0))
    write_run(tmp_path / "c", model="c", metrics=metric(FRECHET, 3.0))
    nothing = metric(FRECHET, 0.0)
    nothing[FRECHET]["value"] = None
    write_run(tmp_path / "d", model="d", metrics=nothing)
    comparison = compare(tmp_path)
    assert [entry.cells[FRECHET].rank for entry in comparison.entries[:3]] == [None, "best", None]
    assert FRECHET not in comparison.entries[3].cells
    assert shown(comparison.entries[0].cells[FRECHET], 1) == "nan"
    json.dumps(document(comparison), allow_nan=False)


def test_labels_name_what_differs_within_a_model(tmp_path: Path) -> None:
    def with_guidance(seed: int, name: str, **more: object) -> None:
        config = {"guidance": {"name": name, **more}, "checkpoint": f"somewhere/{name}{seed}"}
        write_run(tmp_path / f"{name}-{seed}", model="glide", seed=seed, config=config)

    for seed in (0, 1):
        with_guidance(seed, "none")
        with_guidance(seed, "classifier_free", scale=3.0)
    write_run(tmp_path / "vae", model="vae", config={"logger": {"name": "none"}})
    groups = group_runs([load_run(run) for run in find_runs([tmp_path])])
    assert list(groups) == [
        "glide · guidance=classifier_free · guidance.scale=3",
        "glide · guidance=none",
        "vae",
    ]
    assert [len(members) for members in groups.values()] == [2, 2, 1]


def test_a_knob_that_appears_twice_is_named_once(tmp_path: Path) -> None:
    for size in (8, 16):
        config = {
            "data": {"name": "openmoji", "image_size": size},
            "model": {"name": "vae", "image_size": size, "_target_": "genzoo.models.vae.VAE"},
        }
        write_run(tmp_path / str(size), config=config)
    groups = group_runs([load_run(run) for run in find_runs([tmp_path])])
    assert list(groups) == ["vae · data.image_size=8", "vae · data.image_size=16"]


@pytest.mark.parametrize(("last", "labels"), [
    (0, ["vae · a=0 · b=0 · c=0 · d=0 · and 3 more", "vae · a=1 · b=1 · c=1 · d=1 · and 3 more"]),
    (2, ["vae · a=0 · b=0 · c=0 · d=0 · e=0 · f=0 · g=0",
         "vae · a=1 · b=1 · c=1 · d=1 · e=1 · f=1 · g=1",
         "vae · a=0 · b=0 · c=0 · d=0 · e=0 · f=0 · g=2"]),
])  # fmt: skip
def test_many_differences_are_cut_where_names_stay_different(
    tmp_path: Path, last: int, labels: list[str]
) -> None:
    for value in (0, 1):
        write_run(tmp_path / f"{value}", config=dict.fromkeys("abcdefg", value))
    if last:
        write_run(tmp_path / "2", config={**dict.fromkeys("abcdefg", 0), "g": last})
    assert list(group_runs([load_run(run) for run in find_runs([tmp_path])])) == labels


def test_the_same_seed_twice_is_not_a_spread(tmp_path: Path) -> None:
    for sweep in ("first", "second"):
        for seed in (0, 1):
            write_run(tmp_path / sweep / f"{seed}", seed=seed)
    groups = group_runs([load_run(run) for run in find_runs([tmp_path])])
    assert {label: len(members) for label, members in groups.items()} == {
        "vae · first": 2, "vae · second": 2,
    }  # fmt: skip
    write_run(tmp_path / "first" / "again", seed=0)
    groups = group_runs([load_run(run) for run in find_runs([tmp_path])])
    assert [len(members) for members in groups.values()] == [1] * 5


def test_failed_runs_are_shown_by_every_writer(tmp_path: Path) -> None:
    write_run(tmp_path / "0-vae-seed0")
    write_failed(tmp_path / "1-gan-seed0", "[red]CUDA[/red] out of memory; use less")
    comparison = compare(tmp_path)
    assert [run.folder.name for run in comparison.failed] == ["1-gan-seed0"]
    assert document(comparison)["failed"][0]["error"] == "[red]CUDA[/red] out of memory; use less"
    assert "out of memory" in markdown(comparison)
    assert "[red]CUDA[/red] out of memory; use less" in terminal(comparison)


def test_only_failed_runs_still_make_a_comparison(tmp_path: Path) -> None:
    write_failed(tmp_path / "0")
    comparison = compare(tmp_path)
    assert "No run has results" in markdown(comparison)
    assert "out of memory" in terminal(comparison)


def test_the_terminal_never_exceeds_its_width(tmp_path: Path) -> None:
    comparison = runs(tmp_path, {f"model{k}": [float(k), k + 0.25] for k in range(7)})
    text = terminal(comparison, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"model{k}" in text for k in range(7))
    assert "…" not in text


def test_the_table_holds_plain_numbers(tmp_path: Path) -> None:
    comparison = runs(tmp_path, {"gan": [4.0, 6.0], "vae": [2.0, 3.0]})
    columns, rows = table(comparison)
    assert columns[:4] == ["model", "trainings", FRECHET, f"{FRECHET} ±"]
    assert rows[0][:4] == ["gan", 2, 5.0, pytest.approx(math.sqrt(2))]
    assert rows[0][columns.index("parameters")] == 1234
    assert rows[0][columns.index("peak_memory_bytes")] == 2**30


def test_a_cost_that_is_missing_is_not_made_up(tmp_path: Path) -> None:
    edit_json(write_run(tmp_path / "a") / "results.json", training={"images_seen": 5})
    comparison = compare(tmp_path)
    columns, rows = table(comparison)
    assert rows[0][columns.index("training_seconds")] is None
    assert document(comparison)["entries"][0]["cost"]["images_seen"] == 5
    assert markdown(comparison).count("n/a") == len(COSTS) - 3


@pytest.mark.parametrize(
    ("values", "spread", "places"),
    [
        ([315.07, 93.1], None, 1),
        ([0.0123, 0.5], None, 4),
        ([3.5], None, 3),
        ([0.0], None, 3),
        ([213.8], 5.02, 1),
        ([213.8], 12.0, 0),
        ([0.0741], 0.0029, 4),
        ([3.17], 0.017, 3),
        ([], None, 3),
    ],
)
def test_decimals(values: list[float], spread: float | None, places: int) -> None:
    assert decimals(Cell(value, spread, 2, (value,), {}) for value in values) == places


def terminal(comparison: Comparison, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    print_table(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined]
