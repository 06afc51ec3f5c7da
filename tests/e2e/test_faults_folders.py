"""A run's folder is not taken from it; an interrupted run goes on with the same command."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from genzoo.run.lock import Refused, locked
from genzoo.run.runfolder import differences
from tests.shell import Command, Result
from tests.small import AGAIN, SMALL

Shell = Callable[..., Result]
TRAINING = ("model=vae", *SMALL, "hydra.run.dir=a")


def one_line(result: Result, *words: str, status: int = 2) -> None:
    assert result.status == status, result
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert isinstance(state, dict)
    return state


def same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def unfinish(folder: Path) -> None:
    """As a run is that was killed while it was measured."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["run"]["finished"] is True
    config["run"]["finished"] = False
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "results.json").unlink()


def killed(cwd: Path, *arguments: str, after: str) -> None:
    """Start a run and kill it once a file is there."""
    command = Command(*arguments, cwd=cwd)
    deadline = time.monotonic() + 120
    while not (cwd / after).exists() and command.running and time.monotonic() < deadline:
        time.sleep(0.02)
    command.send(signal.SIGKILL)
    assert command.wait().status == -signal.SIGKILL


def test_a_finished_run_is_left_as_it_is(shell: Shell, tmp_path: Path) -> None:
    assert shell(*TRAINING).status == 0
    before = content(tmp_path / "a")
    one_line(
        shell(*TRAINING), "finished run of task=fit", "overwrite=true", "budget.images=",
        f"checkpoint={tmp_path / 'a'}",
    )  # fmt: skip
    one_line(shell("model=autoencoder", *TRAINING[1:]), "finished run", "overwrite=true")
    one_line(shell("task=evaluate", "checkpoint=a", *AGAIN, "hydra.run.dir=a"), "another folder")
    one_line(shell("task=sample", "checkpoint=a", "prompt=x", "hydra.run.dir=a"), "another folder")
    # What it needs lies there: it is not removed even when told.
    one_line(
        shell("task=evaluate", "checkpoint=a", *AGAIN, "hydra.run.dir=a", "overwrite=true"),
        "would remove what the command needs",
    )
    assert content(tmp_path / "a") == before
    more = shell("checkpoint=a", "budget.images=128", *AGAIN, "hydra.run.dir=a")
    assert more.status == 0, more.err
    assert "after 96 images" in more.out
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "a" / "gallery" / "mine.svg").write_text("mine")
    (tmp_path / "a" / "gallery" / "sample-99.png").write_text("of an earlier run")
    again = shell(*TRAINING, "overwrite=true")
    assert again.status == 0, again.err
    assert json.loads((tmp_path / "a/results.json").read_text())["training"]["images_seen"] == 96
    mine = {"notes.txt": b"mine", "gallery/mine.svg": b"mine"}
    assert mine.items() <= content(tmp_path / "a").items()
    assert not (tmp_path / "a" / "gallery" / "sample-99.png").exists()


def test_the_same_command_goes_on_with_a_killed_run(shell: Shell, tmp_path: Path) -> None:
    training = (*TRAINING[:-1], "budget.images=960", "trainer.checkpoint_minutes=0")
    assert shell(*training, "hydra.run.dir=whole").status == 0
    killed(tmp_path, *training, "hydra.run.dir=a", after="a/checkpoints/last.ckpt")
    assert not (tmp_path / "a" / "results.json").exists()
    another = [a for a in training if not a.startswith("budget")]
    one_line(
        shell(*another, "budget.images=64", "optimizer.lr=0.5", "hydra.run.dir=a"),
        "not finished", "optimizer.lr=0.5 (there: ", "budget.images=64 (there: 960)",
        f"checkpoint={tmp_path / 'a'}", "overwrite=true",
    )  # fmt: skip
    again = shell(*training, "hydra.run.dir=a")
    assert again.status == 0, again.err
    assert again.out.count("it resumes from its last checkpoint") == 1
    same(tmp_path / "whole", tmp_path / "a")
    lines = (tmp_path / "a" / "curves.jsonl").read_text().splitlines()
    points = [json.loads(line)["images"] for line in lines]
    assert points == sorted(set(points))
    # Killed while it was measured: nothing is trained, and it is measured.
    unfinish(tmp_path / "a")
    again = shell(*training, "hydra.run.dir=a")
    assert again.status == 0, again.err
    assert (tmp_path / "a" / "results.json").exists()
    same(tmp_path / "whole", tmp_path / "a")


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    shell: Shell, tmp_path: Path
) -> None:
    killed(tmp_path, *TRAINING, "budget.images=100000000", after="a/curves.jsonl")
    # The budget was another one; the command as typed here is not that run's.
    one_line(shell(*TRAINING), "not finished", "budget.images=96 (there: 100000000)")
    config = yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())
    config["budget"]["images"] = 96
    (tmp_path / "a" / "config.yaml").write_text(yaml.safe_dump(config))
    again = shell(*TRAINING)
    assert again.status == 0, again.err
    assert again.out.count("it starts anew") == 1


def test_a_run_that_continues_another_goes_on_from_its_own_checkpoint(
    shell: Shell, tmp_path: Path
) -> None:
    assert shell(*TRAINING).status == 0
    second = ("checkpoint=a", "budget.images=192", *AGAIN, "hydra.run.dir=b")
    assert shell(*second).status == 0
    unfinish(tmp_path / "b")
    again = shell(*second)
    assert again.status == 0, again.err
    assert "it resumes from its last checkpoint" in again.out
    unfinish(tmp_path / "b")
    own = shell("checkpoint=b", "budget.images=224", *AGAIN, "hydra.run.dir=b")
    assert own.status == 0, own.err
    assert "after 192 images" in own.out


def test_two_runs_do_not_share_a_folder(shell: Shell, tmp_path: Path) -> None:
    running = Command(*TRAINING, "budget.images=100000000", cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a/curves.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    for more in ((), ("overwrite=true",)):
        one_line(shell(*TRAINING, *more), f"in use by process {running.pid} on ")
    running.send(signal.SIGINT)
    assert running.wait().status == 130
    result = shell("checkpoint=a", *AGAIN, "budget.images=100000000", "budget.minutes=1e-9",
                   "hydra.run.dir=b")  # fmt: skip
    assert "has used up its budget" in result.err  # it can be read


def test_a_sweep_given_again_does_what_is_left(shell: Shell, tmp_path: Path) -> None:
    sweep = ("-m", "model=vae,autoencoder", *SMALL, "hydra.sweep.dir=s")
    assert shell(*sweep).status == 0
    first, second = (tmp_path / "s" / name for name in ("0-vae-seed0", "1-autoencoder-seed0"))
    before = content(first)
    unfinish(second)
    (tmp_path / "s" / "comparison.html").unlink()
    again = shell(*sweep)
    assert again.status == 0, again.err
    assert "0-vae-seed0 has finished before and is left alone" in again.out
    assert "it resumes from its last checkpoint" in again.out
    assert content(first) == before
    page = (tmp_path / "s" / "comparison.html").read_text()
    assert "autoencoder" in page
    assert "vae" in page
    # Another sweep in the same folder: nothing is lost, and each job says so.
    other = shell(*sweep, "optimizer.lr=0.5")
    assert other.status == 2
    assert len(other.err.splitlines()) == 2
    assert content(first) == before
    assert not (second / "error.txt").exists()
    # A job that cannot begin leaves a finished one's folder as it is.
    assert shell(*sweep, "optimizer.batch_size=0").status == 2
    assert content(first) == before


def test_what_else_writes_folders(shell: Shell, tmp_path: Path) -> None:
    assert shell(*TRAINING).status == 0
    sample = ("task=sample", "checkpoint=a", "count=2", "trainer.gpus=0", "hydra.run.dir=drawn")
    assert shell(*sample, "prompt=x").status == 0
    before = content(tmp_path / "drawn")
    one_line(shell(*sample, "prompt=y"), "finished run of task=sample", "overwrite=true")
    assert content(tmp_path / "drawn") == before
    assert shell(*sample, "prompt=y", "overwrite=true").status == 0
    for _ in range(2):  # a comparison of the same runs is made anew
        assert shell("task=compare", "runs=a", "logger=none", "hydra.run.dir=c").status == 0
    one_line(
        shell("task=compare", "runs=drawn,a", "logger=none", "hydra.run.dir=c"), "task=compare"
    )
    one_line(shell("task=compare", "runs=a", "logger=none", "hydra.run.dir=a"), "another folder")
    one_line(
        shell("task=compare", "runs=a", "logger=none", "hydra.run.dir=a", "overwrite=true"),
        "would remove what the command needs",
    )
    # Weights that somebody has put there are not written over.
    (tmp_path / "b" / "checkpoints").mkdir(parents=True)
    (tmp_path / "a/checkpoints/last.ckpt").rename(tmp_path / "b/checkpoints/last.ckpt")
    one_line(shell(*TRAINING[:-1], "hydra.run.dir=b"), "what another run left")


def test_a_lock_does_not_outlive_its_process_nor_pass_to_children(tmp_path: Path) -> None:
    read, write = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if child == 0:  # as a data loader's worker that lives on for a while
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        with pytest.raises(Refused, match=f"process {os.getpid()} on"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass
    os.write(write, b"x")
    os.waitpid(child, 0)


def test_what_differs_is_shown_as_it_is_typed() -> None:
    before = {"a": {"b": 1, "old": 0}, "c": None, "run": {"folder": "x"}, "logger": {"name": "x"}}
    now = {"a": {"b": 2, "new": 0}, "c": True, "run": {"folder": "y"}, "logger": {"name": "y"}}
    assert differences(before, now) == ["a.b=2 (there: 1)", "c=true (there: null)"]
    assert differences(before, before) == []


def test_a_run_that_goes_wrong_does_not_point_to_an_earlier_ones_weights(
    shell: Shell, tmp_path: Path
) -> None:
    assert shell(*TRAINING).status == 0
    wrong = ("optimizer.lr=1e30", "optimizer.warmup_images=0", "optimizer.clip=null")
    run = shell(*TRAINING, *wrong, "overwrite=true")
    one_line(run, "start again with a lower optimizer.lr=", status=1)
    assert not (tmp_path / "a" / "checkpoints" / "last.ckpt").exists()


def test_a_folder_that_no_run_wrote_is_left_alone(shell: Shell, tmp_path: Path) -> None:
    own = {"config.yaml": "foo: bar\n", "results.json": "{}", "samples/mine.png": "mine",
           "checkpoints/last.ckpt": "mine", "error.txt": "mine"}  # fmt: skip
    for name, text in own.items():
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_text(text)
    before = content(tmp_path / "a")
    for more in ((), ("overwrite=true",)):
        one_line(shell(*TRAINING, *more), "holds files that no genzoo run wrote")
        assert content(tmp_path / "a") == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "error.txt").write_text("mine")
    assert shell(*TRAINING[:-1], "hydra.run.dir=b").status == 0
    assert (tmp_path / "b" / "error.txt").read_text() == "mine"
    (tmp_path / "b" / "gallery" / "mine.png").write_text("mine")
    mistake = shell("checkpoint=b", "hydra.run.dir=b", "budget.images=96", *AGAIN)
    one_line(mistake, "budget")
    saved = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    assert saved["run"]["finished"] is True
    assert shell(*TRAINING[:-1], "hydra.run.dir=b", "overwrite=true").status == 0
    assert (tmp_path / "b" / "gallery" / "mine.png").read_text() == "mine"
    # A prompt file there is read by the command.
    draw = ("task=sample", "checkpoint=b", "count=1", "trainer.gpus=0", "hydra.run.dir=d")
    one_line(shell(*draw, "prompt=d/nofile.txt"), "nofile.txt")
    assert shell(*draw, "prompt=x").status == 0  # the mistake is mended
    (tmp_path / "d" / "samples" / "00009.txt").write_text("a red heart\n")
    before = content(tmp_path / "d")
    again = shell(*draw, "prompt=d/samples/00009.txt", "overwrite=true")
    one_line(again, "would remove what the command needs")
    assert content(tmp_path / "d") == before


def test_an_export_writes_over_nothing_unasked(shell: Shell, tmp_path: Path) -> None:
    assert shell(*TRAINING).status == 0
    (tmp_path / "README.md").write_text("mine")
    export = ("task=export", "checkpoint=a", "file=README.safetensors")
    one_line(shell(*export), "README.md would be written over", "overwrite=true")
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "README.safetensors").exists()
    assert shell(*export, "overwrite=true").status == 0
    itself = ("task=export", "checkpoint=README.safetensors", "file=README.safetensors")
    one_line(shell(*itself, "overwrite=true"), "is the checkpoint itself")
