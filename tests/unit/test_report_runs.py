"""Run folders are read as they are: finished, failed, damaged, hostile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genzoo.core.errors import GenzooError, UsageError
from genzoo.report.runs import find_runs, load_run
from tests.fake_runs import FRECHET, edit_json, write_failed, write_json, write_run


def test_a_finished_run(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "0-vae-seed3", seed=3))
    assert (run.model, run.seed, run.error) == ("vae", 3, None)
    assert run.metrics[FRECHET]["value"] == 13.0
    assert run.gallery[0].caption == "red heart"
    assert run.gallery[0].sample == tmp_path / "0-vae-seed3" / "gallery" / "sample-0.png"
    assert run.interpolation is not None
    assert run.attribution == "Drawn by somebody, CC BY-SA 4.0"
    assert len(run.curves) == 19


def test_a_failed_run_has_its_reason_and_its_model(tmp_path: Path) -> None:
    folder = write_failed(tmp_path / "1-gan-seed2", "first\n  second; do this")
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 2\nmodel: {name: gan}\n")
    run = load_run(folder)
    assert run.error == "first second; do this"
    assert (run.model, run.seed, run.results) == ("gan", 2, None)


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "results.json").unlink()
    assert load_run(folder).error == "it has not finished"


def test_no_run_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run folder; name one"):
        load_run(tmp_path)
    with pytest.raises(UsageError, match=r"there is no run in .*; name run folders"):
        find_runs([tmp_path])
    with pytest.raises(UsageError, match=r"there is no run /.*nowhere"):
        find_runs([tmp_path / "nowhere"])


def test_sweeps_and_patterns_are_expanded_once_and_in_order(tmp_path: Path) -> None:
    sweep = tmp_path / "day" / "12-00-sweep"
    for name in ("10-vae-seed1", "2-vae-seed0", "1-autoencoder-seed0"):
        write_run(sweep / name)
    write_failed(sweep / "3-vae-seed7")
    (sweep / "notes").mkdir()
    (sweep / "comparison.html").write_text("")
    names = ["1-autoencoder-seed0", "2-vae-seed0", "3-vae-seed7", "10-vae-seed1"]
    assert [run.name for run in find_runs([sweep])] == names
    assert [run.name for run in find_runs([tmp_path])] == names
    assert [run.name for run in find_runs([f"{sweep}/*vae*"])] == names[1:]
    assert [run.name for run in find_runs([sweep / names[1], sweep])] == [
        names[1], names[0], *names[2:],
    ]  # fmt: skip


def test_a_folder_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "vae[8,16]")
    assert find_runs([folder]) == [folder]


@pytest.mark.parametrize(
    "name", ["../../secret.png", "/etc/hostname", "sub/real.png", "..", ".", "a\\b.png", "a\0b", 5]
)
@pytest.mark.parametrize("key", ["real", "sample", "reconstruction"])
def test_a_gallery_that_points_elsewhere_is_refused(
    tmp_path: Path, name: object, key: str
) -> None:
    folder = write_run(tmp_path / "run")
    (tmp_path / "secret.png").write_bytes(b"secret")
    path = folder / "gallery" / "gallery.json"
    content = json.loads(path.read_text())
    content["items"][1][key] = name
    write_json(path, content)
    with pytest.raises(GenzooError, match="outside its folder"):
        load_run(folder)


def test_a_linked_picture_or_interpolation_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    edit_json(folder / "gallery" / "gallery.json", interpolation="../results.json")
    with pytest.raises(GenzooError, match="outside its folder"):
        load_run(folder)
    edit_json(folder / "gallery" / "gallery.json", interpolation="interpolation.png")
    (folder / "gallery" / "real-0.png").unlink()
    (folder / "gallery" / "real-0.png").symlink_to(folder / "results.json")
    with pytest.raises(GenzooError, match="is a link"):
        load_run(folder)


def test_whose_weights_a_run_began_with_is_in_its_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    model = json.loads((folder / "results.json").read_text())["model"]
    edit_json(folder / "results.json", model=model | {"origin": "zoo/glide_16"})
    assert load_run(folder).model == "vae (from zoo/glide_16)"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metrics": 3}', "[" * 100_000])
def test_damaged_results_are_one_line(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "results.json").write_text(text)
    with pytest.raises(GenzooError, match="evaluate that run again") as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_configuration_is_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "config.yaml").write_text("a: [1\nb: !!python/object/apply:os.system [x]")
    with pytest.raises(GenzooError, match="is damaged") as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)


def test_a_curve_cut_off_in_the_middle_keeps_its_points(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    with (folder / "curves.jsonl").open("a") as file:
        file.write('{"images": 500, "sec')
    assert len(load_run(folder).curves) == 19
