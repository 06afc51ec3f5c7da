"""What is handed on names no folder of a machine and no secret."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from genzoo.machine.redaction import cleaned, command, mentioned, place, redacted

KEY = "0123456789abcdef0123"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SOME_API_KEY", KEY)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("outputs/run", "outputs/run"),
        ("~/data", "~/data"),
        ("/home/ann", "~"),
        ("/home/ann/data set/x", "~/data set/x"),
        ("/home/anna/x", "x"),
        ("/mnt/customer/data", "data"),
        ("/", "/"),
    ],
)
def test_places(path: str, shown: str) -> None:
    assert place(path) == shown


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("data.root=/home/ann/x", "data.root=~/x"),
        ("runs=/home/ann/a,/srv/b,c", "runs=~/a,b,c"),
        ("runs=[/home/ann/a,'/srv/b']", "runs=[~/a,'b']"),
        ("checkpoint=outputs/a", "checkpoint=outputs/a"),
        ("+logger.api_key=whatever", "+logger.api_key=***"),
        (f"+note={KEY}", "+note=***"),
        ("+url=https://ann:pass@host/x", "+url=https://***@host/x"),
        ("prompt=/a heart/ or not", "prompt=/a heart/ or not"),
        ("metrics.clip=open_clip/ViT-B-32//home/ann/w.pt", None),
        ("seed=0", "seed=0"),
    ],
)
def test_commands(argument: str, shown: str | None) -> None:
    line = command(["python", "-m", "genzoo", argument])
    assert line.startswith("python -m genzoo ")
    if shown is not None:
        assert shlex.split(line)[3] == shown
    assert KEY not in line
    assert "/home/ann" not in line


def test_configurations() -> None:
    tree = {"data": {"root": "/home/ann/x", "templates": ["/{}"]}, "seed": 3, "prompt": "/home/x"}
    found = cleaned({**tree, "logger": {"api_key": "x"}, "note": f"with {KEY}"})
    assert found["data"]["root"] == "~/x"
    assert found["seed"] == 3
    assert found["prompt"] == "/home/x"  # a caption
    assert found["logger"]["api_key"] == "***"
    assert found["note"] == "with ***"


def test_lines() -> None:
    assert redacted("no folder /home/ann/x, /home/ann") == "no folder ~/x, ~"
    assert redacted("no folder /home/anna/x") == "no folder /home/anna/x"


def test_files_have_a_checksum(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    assert mentioned(file) == "a.png 2d711642b726"
    file.write_bytes(b"other")
    assert mentioned(file) != "a.png 2d711642b726"
    assert mentioned(tmp_path / "none.png") == "none.png"
