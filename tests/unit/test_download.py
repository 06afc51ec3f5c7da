"""Fetched files: resumed, whole or not at all, held against their checksum."""

from __future__ import annotations

import email.message
import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from genzoo.download import fetch
from genzoo.errors import GenzooError

CONTENT = bytes(range(256)) * 20
SHA = hashlib.sha256(CONTENT).hexdigest()
URL = "https://example.org/weights.pt"


class Server:
    """Stands for urllib's opener: sends `CONTENT`, and may break off or know no ranges."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.breaks_after: int | None = None
        self.ranges = True

    def __call__(self, request: urllib.request.Request, timeout: float) -> Any:
        wanted = request.get_header("Range")
        self.asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        headers = email.message.Message()
        if begin >= len(CONTENT):
            raise urllib.error.HTTPError(URL, 416, "range", headers, None)
        rest = CONTENT[begin:]
        headers["Content-Length"] = str(len(rest))
        answer: Any = io.BytesIO(rest[: self.breaks_after])
        answer.headers, answer.status = headers, 206 if begin else 200
        return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(urllib.request, "urlopen", server)
    return server


def get(path: Path, sha256: str | None = None) -> Path:
    return fetch(URL, path, sha256=sha256, remedy="fetch it elsewhere")


def test_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "weights.pt"
    assert get(path).read_bytes() == CONTENT
    assert get(path) == path
    assert server.asked == [None]
    assert path.with_name("weights.pt.sha256").read_text().startswith(SHA)
    assert not path.with_name("weights.pt.part").exists()


def test_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    server.breaks_after = 1000
    with pytest.raises(GenzooError, match="1,000 of 5,120 bytes"):
        get(path)
    assert not path.exists()
    server.breaks_after = None
    assert get(path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    (tmp_path / "weights.pt.part").write_bytes(b"something else")
    server.ranges = False
    assert get(path).read_bytes() == CONTENT


def test_a_part_that_is_the_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)
    assert get(tmp_path / "weights.pt", SHA).read_bytes() == CONTENT


def test_another_file_than_published(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with pytest.raises(GenzooError, match="not what was published"):
        get(path, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changed(server: Server, tmp_path: Path) -> None:
    path = get(tmp_path / "weights.pt")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(GenzooError, match="not what was fetched"):
        get(path)


def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(GenzooError, match="no route") as error:
        get(tmp_path / "weights.pt")
    assert "fetch it elsewhere" in str(error.value)
