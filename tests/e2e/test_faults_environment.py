"""Full disks, folders that are not there or not writable, users without a home or a name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genzoo.core.errors import GenzooError
from genzoo.core.files import user_cache, whole, write_whole
from tests.shell import Result
from tests.small import SMALL

Shell = Callable[..., Result]
RUN = ("model=vae", *SMALL, "budget.images=32", "data=shapes", "data.source.count=60")
NOBODY = 54321  # no such user


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A function: kibibytes -> a file system of that size, where the system lets one be made."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        place = tmp_path / f"disk-{size}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=False)


def one_line(result: Result, *words: str) -> None:
    assert result.status in (1, 2), result
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("limit", ["/dev/full", "size"])
def test_a_file_is_written_whole_or_stays_as_it_was(
    tmp_path: Path, tiny_disk: Callable[[int], Path], limit: str
) -> None:
    folder = tiny_disk(64) if limit == "size" else tmp_path
    path = folder / "a.json"
    write_whole(path, "old")
    with pytest.raises(GenzooError, match="no space left"):  # noqa: PT012, SIM117 - both fail
        with whole(path) as fresh:
            if limit == "size":
                fresh.write_text("x" * 200_000)
            else:
                with open("/dev/full", "w") as full:  # noqa: PTH123
                    full.write("x")
    assert path.read_text() == "old"
    assert [file.name for file in folder.iterdir() if file.is_file()] == ["a.json"]


@pytest.mark.parametrize("size", [16, 64, 6000])
def test_a_full_disk_is_one_line_and_costs_nothing_that_was_there(
    shell: Shell, tmp_path: Path, tiny_disk: Callable[[int], Path], size: int
) -> None:
    """There is room for the configuration, for some curves, or for a checkpoint or two."""
    disk = tiny_disk(size)
    (disk / "mine").write_text("kept")
    run = shell(*RUN, "budget.images=64", "trainer.log_images=16", f"hydra.run.dir={disk / 'a'}")
    if run.status:
        one_line(run, "space")
    assert (disk / "mine").read_text() == "kept"
    for left in disk.rglob("*.new*"):
        raise AssertionError(f"{left} was left behind")
    if size == 6000:  # what was trained is there, and measured or can be
        assert (disk / "a" / "checkpoints" / "last.ckpt").exists()


def test_an_export_that_finds_no_room_keeps_the_one_before(
    shell: Shell, tmp_path: Path, tiny_disk: Callable[[int], Path]
) -> None:
    assert shell(*RUN, "hydra.run.dir=a").status == 0
    disk = tiny_disk(64)
    (disk / "m.safetensors").write_text("the one before")
    export = ("task=export", "checkpoint=a", f"file={disk / 'm.safetensors'}", "overwrite=true")
    one_line(shell(*export), "space")
    assert (disk / "m.safetensors").read_text() == "the one before"
    one_line(
        shell("task=compare", "runs=a", "logger=none", f"hydra.run.dir={disk / 'c'}"), "space"
    )
    sample = ("task=sample", "checkpoint=a", "prompt=x", "count=300", "trainer.gpus=0")
    one_line(shell(*sample, f"hydra.run.dir={disk / 's'}"), "space")


@pytest.mark.parametrize("kind", ["full", "missing"])
def test_no_temporary_folder(
    shell: Shell, tmp_path: Path, tiny_disk: Callable[[int], Path], kind: str
) -> None:
    folder = tmp_path / "nowhere"
    if kind == "full":
        folder = tiny_disk(16)
        with pytest.raises(OSError, match="space"):
            (folder / "all").write_bytes(b"x" * 100_000)
    run = shell(*RUN, "hydra.run.dir=a", env={"TMPDIR": str(folder)})
    assert run.status == 0, run.err
    assert run.err == ""
    assert (tmp_path / "a" / "results.json").exists()


def test_features_that_cannot_be_kept_are_taken_all_the_same(shell: Shell, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "metrics").write_text("a file where the folder would be")
    run = shell(*RUN, "hydra.run.dir=a", env={"GENZOO_CACHE": str(cache)})
    assert run.status == 0, run.err
    assert "are not kept" in run.out
    assert (tmp_path / "a" / "results.json").exists()


def as_nobody(
    folder: Path, *arguments: str, **changed: str | None
) -> subprocess.CompletedProcess[str]:
    """A command by a user whom the system does not know; root alone can become one."""
    if os.getuid() or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    variables = {**os.environ, **changed}
    return subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         sys.executable, "-m", "genzoo", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={key: value for key, value in variables.items() if value is not None},
    )  # fmt: skip


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Where anybody may write; pytest's own folders are root's alone."""
    folder = Path("/tmp") / f"genzoo-open-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(f"/tmp/genzoo-{NOBODY}", ignore_errors=True)


def test_a_user_without_a_name_or_a_home(open_folder: Path) -> None:
    run = as_nobody(open_folder, *RUN, "hydra.run.dir=a", "logger=wandb", HOME=None,
                    GENZOO_CACHE=None, XDG_CACHE_HOME=None)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert (open_folder / "a" / "results.json").exists()


def test_a_home_that_cannot_be_written(open_folder: Path) -> None:
    run = as_nobody(open_folder, *RUN, "hydra.run.dir=a", HOME="/root", GENZOO_CACHE=None,
                    XDG_CACHE_HOME=None)  # fmt: skip
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1, run.stderr
    assert "GENZOO_CACHE" in run.stderr
    cache = open_folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    run = as_nobody(open_folder, *RUN, "hydra.run.dir=a", HOME="/root", GENZOO_CACHE=str(cache))
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


def test_a_cache_among_temporary_files_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("GENZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    folder = user_cache()
    assert folder == tmp_path / f"genzoo-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)  # others could have put weights there
    with pytest.raises(GenzooError, match="not this user's own"):
        user_cache()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(GenzooError, match="not this user's own"):
        user_cache()
