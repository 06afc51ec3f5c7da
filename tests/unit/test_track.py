from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from genzoo import track
from genzoo.track import Tracker


def config(folder: Path, *, logger: str = "none", mode: str = "auto") -> DictConfig:
    cfg = OmegaConf.create(
        {
            "run": {"folder": str(folder), "group": "sweep"},
            "task": {"name": "fit"},
            "logger": {"name": logger, "project": "genzoo", "entity": None, "mode": mode},
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

    def init(self, *, mode: str, **_: Any) -> Dashboard:
        self.started.append(mode)
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


def test_nobody_logged_in_means_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    assert not track._logged_in()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password " + 40 * "0")
    (tmp_path / ".netrc").chmod(0o600)
    assert track._logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://elsewhere.example")
    assert not track._logged_in()
