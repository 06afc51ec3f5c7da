"""Signals and failures at any moment: a checkpoint first, one line, the right status, a way on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.families import FAMILIES, SMALL
from genzoo.data.dataset import TextImageData
from genzoo.lit import checkpointer, monitor, writing
from genzoo.lit.curves import CurveLogger
from genzoo.lit.module import GenerativeModule
from genzoo.lit.writing import WriteError
from genzoo.machine.signals import ECHO
from genzoo.models.ae import Autoencoder
from genzoo.tasks import fit, validation
from tests.shell import Command, Result

Run = Callable[..., tuple[int, str, str]]

VAE = (*FAMILIES["vae"], *SMALL, "budget.images=96", "trainer.log_images=16",
       "trainer.monitor_images=32", "trainer.validation_images=4")  # fmt: skip


@pytest.fixture
def training(genzoo: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A VAE's training without the evaluation after it."""
    monkeypatch.setattr(fit, "evaluate", lambda *_, **__: {})
    monkeypatch.setattr(validation, "MONITOR_SAMPLES", 4)
    return lambda *arguments: genzoo(*VAE, *arguments)


def content(folder: Path) -> dict[str, Any]:
    loaded = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert isinstance(loaded, dict)
    return loaded


def images(folder: Path) -> int:
    seen: int = content(folder)["genzoo"]["images_seen"]
    return seen


def curves(folder: Path) -> list[dict[str, Any]]:
    points = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    return [{key: value for key, value in p.items() if key != "seconds"} for p in points]


def same(one: Path, other: Path) -> None:
    a, b = (content(folder)["state_dict"] for folder in (one, other))
    assert a.keys() == b.keys()
    assert all(torch.equal(value, b[name]) for name, value in a.items())
    assert curves(one) == curves(other)


def once(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, act: Callable[[], None], *, at: int
) -> None:
    """Do something before the call of that number of a function."""
    function, calls = getattr(where, name), 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            act()
        return function(*arguments, **options)

    monkeypatch.setattr(where, name, counted)


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def fail(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


# Where a signal arrives: the function that it comes before, at which call, and the images that
# the checkpoint counts afterwards. Batches of 8; a look after 32, 64 and 96 images.
MOMENTS = {
    "training": (GenerativeModule, "training_step", 5, 40),
    "looking": (validation, "_samples", 2, 64),
    "looking for the last time": (validation, "_samples", 3, 96),
    "saving": (writing, "_save", 1, 96),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_leads_to_a_checkpoint_and_a_way_on(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moment: str
) -> None:
    where, name, at, seen = MOMENTS[moment]
    assert training("hydra.run.dir=whole")[0] == 0
    with monkeypatch.context() as patched:
        once(patched, where, name, send(signal.SIGTERM), at=at)
        status, out, error = training("hydra.run.dir=cut")
    assert (status, error) == (143, "genzoo: interrupted by SIGTERM\n")
    what = "trained for" if seen == 96 else "stopped after"
    assert f"{what} {seen} images; continue with checkpoint=" in out
    assert images(tmp_path / "cut") == seen
    assert not (tmp_path / "cut" / "checkpoints" / "last.new").exists()
    status, _, error = training("hydra.run.dir=cut")
    assert status == 0, error
    same(tmp_path / "whole", tmp_path / "cut")


def test_the_checkpoint_is_written_before_anything_slow(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No look at the step that would have had one; what drawing needs comes after the file."""
    events: list[str] = []
    for where, name in (
        (validation, "look"),
        (writing, "_save"),
        (Autoencoder, "fit_sampling_prior"),
    ):
        function = getattr(where, name)
        monkeypatch.setattr(
            where,
            name,
            lambda *a, _f=function, _n=name, **o: (events.append(_n), _f(*a, **o))[1],
        )
    once(monkeypatch, GenerativeModule, "training_step", send(signal.SIGINT), at=4)
    assert training(*FAMILIES["autoencoder"], "hydra.run.dir=a")[0] == 130
    assert images(tmp_path / "a") == 32
    assert events == ["_save", "fit_sampling_prior", "_save"]


def test_a_signal_while_measuring_says_how_to_go_on(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        once(patched, fit, "evaluate", send(signal.SIGTERM), at=1)
        status, out, error = training("hydra.run.dir=a")
    assert (status, error) == (143, "genzoo: interrupted by SIGTERM\n")
    assert "the training is complete; continue with checkpoint=" in out
    before = curves(tmp_path / "a")
    status, out, error = training("hydra.run.dir=a")  # trains nothing, measures
    assert status == 0, error
    assert curves(tmp_path / "a") == before


def test_a_signal_before_training_ends_the_command(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        once(patched, fit.build, "build_tokenizer", send(signal.SIGTERM), at=1)
        status, out, error = training("hydra.run.dir=a")
    assert (status, error) == (143, "genzoo: interrupted by SIGTERM\n")
    assert "the training had not begun; give the same command again" in out
    assert training("hydra.run.dir=a")[0] == 0


FAILURES = {
    "data": (TextImageData, "batch", RuntimeError("the disk of the data is gone"), 6),
    "memory": (GenerativeModule, "training_step", MemoryError("no memory"), 4),
    "curves": (CurveLogger, "_point", OSError("no room for curves"), 2),
    "looking": (validation, "_samples", RuntimeError("drawing failed"), 1),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_training_that_fails_keeps_its_last_step(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    where, name, failure, at = FAILURES[what]
    assert training("hydra.run.dir=whole")[0] == 0
    with monkeypatch.context() as patched:
        once(patched, where, name, fail(failure), at=at)
        status, out, error = training("hydra.run.dir=cut")
    assert status == 1
    assert error.startswith("genzoo: ")
    assert str(failure) in error
    assert len(error.splitlines()) == 1
    seen = images(tmp_path / "cut")
    assert 0 < seen < 96
    assert f"saved as it was after {seen} images; continue with checkpoint=" in out
    if what != "curves":  # the point that failed is missing there
        assert training("hydra.run.dir=cut")[0] == 0
        same(tmp_path / "whole", tmp_path / "cut")


def test_a_half_made_step_is_not_kept(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Some weights may have moved already, and others not; nor are weights that are no numbers."""
    once(monkeypatch, torch.optim.AdamW, "step", fail(MemoryError("no memory")), at=4)
    status, out, _ = training("hydra.run.dir=a", "trainer.checkpoint_minutes=1e-9")
    assert status == 1
    assert "saved as it was" not in out
    assert images(tmp_path / "a") == 24  # the last one that was written as usual


def test_a_full_disk_does_not_end_a_training_before_its_end(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = WriteError("cannot write the checkpoint: No space left on device", "make room")
    with monkeypatch.context() as patched:
        once(patched, checkpointer, "write", fail(full), at=2)
        status, out, _ = training("hydra.run.dir=a", "trainer.checkpoint_minutes=1e-9")
    assert status == 0
    assert out.count("No space left on device; the training continues") == 1
    assert images(tmp_path / "a") == 96
    once(monkeypatch, checkpointer, "write", fail(full), at=1)
    status, _, error = training("hydra.run.dir=b")
    assert status == 1
    assert error == "genzoo: cannot write the checkpoint: No space left on device; make room\n"


def fitted(folder: Path) -> bool:
    """Whether the Gaussian of an autoencoder's codes has been fitted to its moving average."""
    return bool(content(folder)["state_dict"]["ema.model.latent_mean"].any())


def test_an_autoencoder_that_is_rescued_can_draw(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even where the last look fails again and again, after which no step is left to be made."""
    own = (*FAMILIES["autoencoder"], "hydra.run.dir=a")
    assert training(*FAMILIES["autoencoder"], "hydra.run.dir=whole")[0] == 0
    assert fitted(tmp_path / "whole")
    for at in (3, 1):
        with monkeypatch.context() as patched:
            once(patched, validation, "_samples", fail(RuntimeError("drawing failed")), at=at)
            assert training(*own)[0] == 1
        assert images(tmp_path / "a") == 96
        assert fitted(tmp_path / "a")
    assert training(*own)[0] == 0
    same(tmp_path / "whole", tmp_path / "a")


def test_what_a_kill_left_without_its_fit_gets_it_where_no_step_is_left(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = (*FAMILIES["autoencoder"], "hydra.run.dir=a")
    assert training(*FAMILIES["autoencoder"], "hydra.run.dir=whole")[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr(
            Autoencoder, "fit_sampling_prior", lambda *_: fail(RuntimeError("no fit"))()
        )
        once(patched, validation, "_samples", fail(RuntimeError("drawing failed")), at=3)
        status, out, error = training(*own)
    assert (status, error.count("drawing failed")) == (1, 1)
    assert "saved as it was after 96 images" in out
    assert "could not be saved" not in out
    assert not fitted(tmp_path / "a")
    assert training(*own)[0] == 0
    same(tmp_path / "whole", tmp_path / "a")


def test_a_signal_in_an_owed_look_leaves_a_checkpoint_in_a_new_folder(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        once(patched, validation, "_samples", send(signal.SIGTERM), at=1)
        assert training("hydra.run.dir=a")[0] == 143
    assert images(tmp_path / "a") == 32
    with monkeypatch.context() as patched:
        once(patched, validation, "_samples", send(signal.SIGINT), at=1)
        status, out, _ = training("checkpoint=a", "hydra.run.dir=b")
    assert status == 130
    assert f"continue with checkpoint={tmp_path / 'b'}" in out
    assert images(tmp_path / "b") == 32
    assert training("checkpoint=b", "hydra.run.dir=b")[0] == 0
    assert images(tmp_path / "b") == 96


def test_training_time_goes_on_after_a_full_disk(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running: list[bool] = []
    once(monkeypatch, checkpointer, "write", fail(WriteError("no space", "make room")), at=2)
    count = GenerativeModule.count

    def counted(module: GenerativeModule, *arguments: Any) -> None:
        running.append(module._since is not None)
        count(module, *arguments)

    monkeypatch.setattr(GenerativeModule, "count", counted)
    assert training("hydra.run.dir=a", "trainer.checkpoint_minutes=1e-9")[0] == 0
    assert running == [True] * 12


def test_a_full_disk_at_the_end_is_told_once(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise WriteError("cannot write: No space left on device", "make room")

    monkeypatch.setattr(checkpointer, "write", full)
    status, out, error = training("hydra.run.dir=a")
    assert (status, error) == (1, "genzoo: cannot write: No space left on device; make room\n")
    assert "No space" not in out


def test_a_look_stops_between_parts_of_its_samples(
    training: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Several processes can only stop together, where they ask one another."""
    events: list[str] = []
    pause, draw = monitor.stop_together, validation.sample_images
    monkeypatch.setattr(validation, "MONITOR_SAMPLES", 20)
    monkeypatch.setattr(
        monitor, "stop_together", lambda *a: (events.append("pause"), pause(*a))[1]
    )

    def drawn(*arguments: Any, indices: list[int], **options: Any) -> torch.Tensor:
        events.append(f"draw {len(indices)}")
        return draw(*arguments, indices=indices, **options)

    monkeypatch.setattr(validation, "sample_images", drawn)
    assert training("hydra.run.dir=a", "data.source.count=400", "budget.images=32")[0] == 0
    assert events[:6] == ["pause", "draw 8", "pause", "draw 8", "pause", "draw 4"]


@pytest.fixture
def two_ranks(tmp_path: Path) -> Iterator[Command]:
    """A long training in two processes that has begun."""
    command = Command(
        *VAE, "budget.images=100000000", "trainer.processes=2", "hydra.run.dir=a", cwd=tmp_path,
        env={"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while command.running and not (tmp_path / "a" / "curves.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield command
    if command.running:
        command.send(signal.SIGKILL)


@pytest.mark.dist
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_all_ranks_write_one_checkpoint_together(
    two_ranks: Command, tmp_path: Path, number: int, status: int
) -> None:
    two_ranks.send(number)
    result: Result = two_ranks.wait()
    assert result.status == status, result
    assert result.err.splitlines() == [
        "genzoo: interrupted" + (" by SIGTERM" if number == signal.SIGTERM else "")
    ]
    assert result.out.count("continue with checkpoint=") == 1
    seen = images(tmp_path / "a")
    assert seen > 0
    assert f"stopped after {seen:,} images" in result.out


def ranks_of(command: Command) -> list[int]:
    """The processes of its ranks."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text()
    return [
        int(pid)
        for pid in children.split()
        if b"genzoo.command.rank" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.dist
def test_a_second_ctrl_c_ends_ranks_that_do_not_answer(two_ranks: Command) -> None:
    ranks = ranks_of(two_ranks)
    assert len(ranks) == 2
    os.kill(ranks[0], signal.SIGSTOP)  # as one that waits for a device for ever
    two_ranks.send(signal.SIGINT)
    time.sleep(ECHO + 1)
    assert two_ranks.running
    two_ranks.send(signal.SIGINT)
    result = two_ranks.wait(timeout=60)
    assert (result.status, result.err) == (130, "genzoo: interrupted\n")
    deadline = time.monotonic() + 30
    while any(lives(pid) for pid in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.05)
