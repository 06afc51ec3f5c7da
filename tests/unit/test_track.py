from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from genzoo.machine import track
from genzoo.machine.track import Tracker
from tests.shell import Result
from tests.small import SMALL


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No dashboard is known to be silent, and the person's own variables are not there."""
    monkeypatch.setattr(track, "_silent", set())
    for name in (*track.VARIABLES.values(), *track.OF_ONE_RUN, "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def config(
    folder: Path, *, logger: str = "none", mode: str = "auto", group: str | None = "sweep"
) -> DictConfig:
    cfg = OmegaConf.create(
        {
            "run": {"folder": str(folder), "group": group},
            "task": {"name": "fit"},
            "logger": {"name": logger, "project": None, "entity": None, "mode": mode},
        }
    )
    assert isinstance(cfg, DictConfig)
    return cfg


def test_curves_are_lines_and_a_table_with_every_column(tmp_path: Path) -> None:
    with Tracker(config(tmp_path)) as tracker:
        tracker.curve({"train/total": 2.0}, images=10, seconds=1.23456)
        tracker.curve({"validation/total": 3.0}, images=10, seconds=1.3)
    lines = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert lines[0] == {"images": 10, "seconds": 1.235, "train/total": 2.0}
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "images": "10", "seconds": "1.3", "train/total": "", "validation/total": "3.0",
    }  # fmt: skip


def test_a_continued_run_takes_over_what_lies_before_it(tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    points = [{"images": n, "seconds": n, "train/total": 1.0} for n in (10, 20, 30)]
    old.write_text("".join(json.dumps(point) + "\n" for point in points))
    tracker = Tracker(config(tmp_path))
    tracker.continue_from(old, images=20)
    tracker.curve({"train/total": 0.5}, images=25, seconds=3)
    lines = (tmp_path / "curves.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"] for line in lines] == [10, 20, 25]


class Dashboard:
    """What the tracker needs of wandb, to see when it is started and how it ends."""

    def __init__(self, *, broken: tuple[str, ...] = ()) -> None:
        self.broken, self.started, self.ended = broken, [], []  # type: ignore[var-annotated]

    def init(self, *, mode: str, **told: Any) -> Dashboard:
        self.started.append(mode)
        self.told = told
        self.seen = {name: os.environ.get(name) for name in track.OF_ONE_RUN}
        if mode in self.broken:
            raise OSError("no route to host")
        return self

    def finish(self, exit_code: int) -> None:
        self.ended.append(exit_code)


@pytest.mark.parametrize(("error", "code"), [(None, 0), (ValueError, 1), (KeyboardInterrupt, 1)])
def test_a_dashboard_is_closed_by_failures_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None, code: int
) -> None:
    import wandb

    dashboard = Dashboard(broken=("online",))
    monkeypatch.setattr(wandb, "init", dashboard.init)
    expected = contextlib.nullcontext() if error is None else pytest.raises(error)
    with expected, Tracker(config(tmp_path, logger="wandb", mode="online")):
        if error is not None:
            raise error
    assert dashboard.started == ["online", "offline"]  # the network was gone, the run went on
    assert dashboard.ended == [code]


JOB, ALONE = "sweep", None
OWN = {
    "WANDB_PROJECT": "mine", "WANDB_RUN_GROUP": "team", "WANDB_JOB_TYPE": "night",
    "WANDB_DIR": "/tmp", "WANDB_NAME": "best", "WANDB_RUN_ID": "abc", "WANDB_RESUME": "allow",
}  # fmt: skip


@pytest.mark.parametrize("group", [ALONE, JOB])
def test_what_wandbs_own_variables_ask_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    group: str | None,
) -> None:
    """All hold for a run alone; jobs of a sweep are runs of their own, with names of their own."""
    import wandb

    dashboard = Dashboard()
    monkeypatch.setattr(wandb, "init", dashboard.init)
    folder = tmp_path / "7-vae-seed3"
    folder.mkdir()
    with Tracker(config(folder, logger="wandb", mode="offline", group=group)):
        assert dashboard.told["project"] == "genzoo"
        assert dashboard.told["name"] == "7-vae-seed3"
        assert dashboard.told["group"] == group
        assert dashboard.told["dir"] == str(folder)
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    with Tracker(config(folder, logger="wandb", mode="offline", group=group)):
        pass
    told = dashboard.told
    assert (told["project"], told["group"], told["job_type"], told["dir"]) == (
        "mine", "team", "night", "/tmp",
    )  # fmt: skip
    assert told["name"] == ("best" if group is ALONE else "best-7-vae-seed3")
    expected = None if group == JOB else "abc"
    assert dashboard.seen["WANDB_RUN_ID"] == expected
    assert (dashboard.seen["WANDB_RESUME"] is None) == (group == JOB)
    assert os.environ["WANDB_RUN_ID"] == "abc"  # only while the run is started
    out = capsys.readouterr().out
    assert ("WANDB_RUN_ID, WANDB_RESUME name one run" in out) == (group == JOB)


def test_a_typed_project_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    dashboard = Dashboard()
    monkeypatch.setattr(wandb, "init", dashboard.init)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    cfg = config(tmp_path, logger="wandb", mode="offline")
    cfg.logger.project = "typed"
    with Tracker(cfg):
        assert dashboard.told["project"] == "typed"


def test_a_silent_dashboard_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    dashboard = Dashboard(broken=("online",))
    monkeypatch.setattr(wandb, "init", dashboard.init)
    for _ in range(3):
        with Tracker(config(tmp_path, logger="wandb", mode="online")):
            pass
    assert dashboard.started == ["online", "offline", "offline", "offline"]
    assert capsys.readouterr().out.count("did not answer an earlier job") == 2
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")  # another one may answer
    with Tracker(config(tmp_path, logger="wandb", mode="online")):
        pass
    assert dashboard.started[-2:] == ["online", "offline"]


KEY = "password " + 40 * "0"


def netrc_at(path: Path, text: str = f"machine api.wandb.ai login user {KEY}") -> None:
    path.write_text(text)
    path.chmod(0o644)  # wandb reads it all the same


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_nobody_logged_in_means_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not track._logged_in()
    netrc_at(tmp_path / name)
    assert track._logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://elsewhere.example")
    assert not track._logged_in()
    netrc_at(tmp_path / name, f"machine here.example:8080 login user {KEY}")
    monkeypatch.setenv("WANDB_BASE_URL", "http://here.example:8080")
    assert track._logged_in()
    netrc_at(tmp_path / "own", f"machine here.example:8080 login user {KEY}")
    (tmp_path / name).unlink()
    monkeypatch.setenv("NETRC", str(tmp_path / "own"))
    assert track._logged_in()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: netrc_at(path, "machine a\nfoo bar"), "line"),
        (lambda path: path.write_bytes(b"machine \xff\xfe"), "codec|bad"),
        (lambda path: path.mkdir(), "directory"),
    ],
)
def test_a_netrc_that_is_not_read_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Any,
    reason: str,
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    make(tmp_path / ".netrc")
    assert not track._logged_in()
    (line,) = capsys.readouterr().out.splitlines()
    assert re.search(rf"\.netrc cannot be read \(.*({reason}).*\); offline", line)
    monkeypatch.setenv("NETRC", str(tmp_path / "nowhere"))
    assert not track._logged_in()
    assert "nowhere names no file; offline" in capsys.readouterr().out


def test_wandb_itself_gives_each_job_an_id_of_its_own(
    shell: Callable[..., Result], tmp_path: Path
) -> None:
    small = [a for a in SMALL if a != "logger=none"]
    result = shell(
        "-m", "model=autoencoder", "seed=0,1", *small, "logger=wandb", "logger.mode=offline",
        "hydra.sweep.dir=s", env={"WANDB_RUN_ID": "abc", "WANDB_TAGS": "tagged"},
    )  # fmt: skip
    assert result.status == 0, result
    found = [path.name for path in (tmp_path / "s").glob("*/wandb/offline-run-*")]
    assert len(found) == 2
    assert len({name.rpartition("-")[2] for name in found} - {"abc"}) == 2


class Broken:
    """A run of wandb that raises whatever it is asked to do."""

    def __init__(self) -> None:
        self.finished: list[int] = []

    def log(self, values: Any) -> None:
        raise RuntimeError("the service\nhas died")

    @property
    def summary(self) -> Any:
        raise BrokenPipeError("no pipe")

    def finish(self, exit_code: int = 0) -> None:
        self.finished.append(exit_code)
        raise ValueError("no end")


@pytest.mark.parametrize("first", ["log", "picture", "summary", "finish"])
def test_what_wandb_raises_after_its_start_ends_no_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: str,
) -> None:
    run = Broken()
    monkeypatch.setattr(track, "_start_wandb", lambda *_, **__: run)
    with Tracker(config(tmp_path)) as tracker:
        if first == "log":
            tracker.curve({"train/total": 2.0}, images=10, seconds=1.0)
        if first == "picture":
            tracker.image("samples", tmp_path / "nowhere.png", images=10)
        if first != "finish":
            tracker.summary({"fid": 1.0})
        if first == "summary":
            tracker.curve({"train/total": 2.0}, images=10, seconds=1.0)
    assert run.finished == [0]  # the next job would be merged into it otherwise
    assert capsys.readouterr().out.count("wandb failed (") == 1
    track.track_table(config(tmp_path).logger, tmp_path, "comparison", ["a"], [[1]])
    assert capsys.readouterr().out.count("wandb failed (") == 1


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    curves = tmp_path / "curves.jsonl"
    points = [{"images": n, "seconds": n, "train/total": 1.0} for n in (10, 20)]
    text = "".join(json.dumps(point) + "\n" for point in points)
    curves.write_text(text + '{"images": 30, "seco')
    with Tracker(config(tmp_path)) as tracker:
        tracker.continue_from(curves, images=100)
        assert tracker.points == 2
        tracker.curve({"train/total": 3.0}, images=30, seconds=30)
    assert [json.loads(line)["images"] for line in curves.read_text().splitlines()] == [10, 20, 30]
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 4


def test_a_full_disk_costs_points_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = tmp_path / "curves.jsonl"
    with Tracker(config(tmp_path)) as tracker:
        tracker.curve({"train/total": 1.0}, images=10, seconds=1)
        curves.rename(tmp_path / "kept")
        curves.symlink_to("/dev/full")  # every write: no space left on device
        tracker.curve({"train/total": 2.0}, images=20, seconds=2)
        tracker.curve({"train/total": 3.0}, images=30, seconds=3)
        curves.unlink()
        (tmp_path / "kept").rename(curves)
        tracker.curve({"train/total": 4.0}, images=40, seconds=4)
    said = capsys.readouterr().out
    assert said.count("No space left on device") == 1
    assert [point["images"] for point in track.read_curves(curves)] == [10, 40]
