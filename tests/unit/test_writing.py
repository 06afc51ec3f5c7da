"""A checkpoint's file is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from genzoo.lit.writing import WriteError, write


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writing beyond this fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints" / "last.ckpt"


def test_a_file_is_written_and_replaced(path: Path) -> None:
    for number in (1, 2):
        write({"number": number, "tensor": torch.full((3,), float(number))}, path)
        content = torch.load(path, weights_only=True)
        assert content["number"] == number
        assert content["tensor"].tolist() == [number] * 3
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_what_a_killed_writer_left_is_written_over(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.with_suffix(".new").write_bytes(b"half a checkpoint" * 10_000)
    write({"number": 1}, path)
    assert torch.load(path, weights_only=True) == {"number": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


# One tensor that does not fit by itself, and two of which the second one does not.
@pytest.mark.parametrize("numbers", [(100_000, 1), (60_000, 60_000)])
def test_a_full_disk_leaves_the_old_file(path: Path, numbers: tuple[int, int]) -> None:
    content = {str(k): torch.zeros(n) for k, n in enumerate(numbers)}
    with largest_file(300_000), pytest.raises(WriteError, match=r"hydra\.run\.dir="):
        write(content, path)
    assert list(path.parent.iterdir()) == []
    write({"number": 1}, path)
    with largest_file(300_000), pytest.raises(WriteError) as caught:
        write(content, path)
    assert "too large" in str(caught.value).lower()
    assert f"stands; make room, and continue with checkpoint={path.parents[1]}" in str(
        caught.value
    )
    assert torch.load(path, weights_only=True) == {"number": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_it_is_on_the_disk_before_it_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []
    monkeypatch.setattr("os.fsync", lambda _: events.append(("flushed", path.exists())))
    write({"number": 1}, path)
    assert events == [("flushed", False), ("flushed", True)]  # the file, then the folder
