"""Fetched files: resumed, whole or not at all, held against their checksum; real servers."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from genzoo.core.errors import GenzooError, UsageError
from genzoo.machine import download
from genzoo.machine.download import TYPED, fetch

CONTENT = bytes(range(256)) * 20
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Sends `content`, and misbehaves as it is told."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.asked: list[str | None] = []
        self.breaks_after: int | None = None
        self.ranges = True
        self.wrong_range = False
        self.length: int | None = None  # that it claims
        self.says_length = True
        self.tagged = True
        self.leads_to: str | None = None
        self.hangs = False
        self.block, self.block_seconds = 512, 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/weights.pt"

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:8]}"'

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        wanted = to.headers.get("Range")
        self.asked.append(wanted)
        if self.hangs:
            time.sleep(3)
            return
        if self.leads_to is not None:
            to.send_response(302)
            to.send_header("Location", self.leads_to)
            to.end_headers()
            return
        same = to.headers.get("If-Range") in (None, self.tag)
        begin = 0
        if wanted and self.ranges and same:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        if begin and begin >= len(self.content):
            to.send_response(416)
            to.send_header("Content-Range", f"bytes */{len(self.content)}")
            to.end_headers()
            return
        rest = self.content[begin:]
        to.send_response(206 if begin else 200)
        if begin:
            first = 0 if self.wrong_range else begin
            to.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/*")
        if self.says_length:
            to.send_header("Content-Length", str(self.length or len(rest)))
        if self.tagged:
            to.send_header("ETag", self.tag)
        to.end_headers()
        rest = rest[: self.breaks_after]
        with contextlib.suppress(ConnectionError):  # of a process that was killed
            for start in range(0, len(rest), self.block):
                to.wfile.write(rest[start : start + self.block])
                time.sleep(self.block_seconds)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def get(server: Server, path: Path, sha256: str | None = None) -> Path:
    return fetch(server.url, path, sha256=sha256, remedy="fetch it elsewhere", schemes=TYPED)


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.suffix != ".lock"}


def test_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "weights.pt"
    assert get(server, path).read_bytes() == CONTENT
    assert get(server, path) == path
    assert server.asked == [None]
    assert path.with_name("weights.pt.sha256").read_text().startswith(SHA)
    assert files(path.parent) == {"weights.pt", "weights.pt.sha256"}


@pytest.mark.parametrize("known", [None, SHA])
def test_goes_on_where_it_stopped(server: Server, tmp_path: Path, known: str | None) -> None:
    path = tmp_path / "weights.pt"
    server.breaks_after = 1000
    with pytest.raises(GenzooError, match="1,000 of 5,120 bytes"):
        get(server, path, known)
    assert not path.exists()
    server.breaks_after = None
    assert get(server, path, known).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-"]
    assert files(tmp_path) == {"weights.pt"} | ({"weights.pt.sha256"} if known is None else set())


@pytest.mark.parametrize("known", [None, SHA])
def test_a_part_of_something_else(server: Server, tmp_path: Path, known: str | None) -> None:
    """What an earlier version left, or the server had before."""
    path = tmp_path / "weights.pt"
    (tmp_path / "weights.pt.part").write_bytes(b"something else")
    assert get(server, path, known).read_bytes() == CONTENT


def test_another_file_at_the_same_address(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    server.content, server.breaks_after = b"x" * 5120, 1000
    with pytest.raises(GenzooError, match="1,000 of 5,120 bytes"):
        get(server, path)
    server.content, server.breaks_after = CONTENT, None
    assert get(server, path).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    server.breaks_after = 1000
    with pytest.raises(GenzooError):
        get(server, path)
    server.breaks_after, server.ranges = None, False
    assert get(server, path).read_bytes() == CONTENT


def test_a_server_that_sends_another_part(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    server.breaks_after = 1000
    with pytest.raises(GenzooError):
        get(server, path)
    server.breaks_after, server.wrong_range = None, True
    assert get(server, path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", None]


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more", CONTENT[:-1] + b"x"])
def test_a_part_that_is_the_whole_or_more(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "weights.pt.part").write_bytes(left)
    assert get(server, tmp_path / "weights.pt", SHA).read_bytes() == CONTENT
    (tmp_path / "weights.pt.part-1").write_bytes(left)
    (tmp_path / "weights.pt").unlink()
    assert get(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert files(tmp_path) == {"weights.pt", "weights.pt.sha256"}


def test_another_file_than_published(server: Server, tmp_path: Path) -> None:
    with pytest.raises(GenzooError, match="not what was published"):
        get(server, tmp_path / "weights.pt", "0" * 64)
    assert files(tmp_path) == set()


def test_wrong_lengths(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    server.length = 6000
    with pytest.raises(GenzooError, match="5,120 of 6,000 bytes"):
        get(server, path)
    server.length = 100  # too short: only a known checksum can tell
    with pytest.raises(GenzooError, match="not what was published"):
        get(server, tmp_path / "other.pt", SHA)
    server.length, server.says_length = None, False
    with pytest.raises(GenzooError, match="does not say how long"):
        get(server, tmp_path / "third.pt")
    assert not any((tmp_path / name).exists() for name in ("weights.pt", "other.pt", "third.pt"))


def test_a_file_that_changed(server: Server, tmp_path: Path) -> None:
    path = get(server, tmp_path / "weights.pt")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(GenzooError, match="not what was fetched"):
        get(server, path)


def test_a_server_that_hangs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SECONDS", 0.5)
    server.hangs = True
    with pytest.raises(GenzooError, match="timed out"):
        get(server, tmp_path / "weights.pt")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/x", "file:///etc/hosts"])
def test_no_redirection_to_another_scheme(server: Server, tmp_path: Path, place: str) -> None:
    server.leads_to = place
    with pytest.raises(GenzooError, match="cannot be fetched"):
        get(server, tmp_path / "weights.pt")
    assert files(tmp_path) == set()


def test_http_may_lead_to_https(server: Server, tmp_path: Path) -> None:
    """Nobody answers there: it fails for want of a server, not for the scheme."""
    server.leads_to = "https://127.0.0.1:9/x"
    with pytest.raises(GenzooError, match="refused"):
        get(server, tmp_path / "weights.pt")


def test_https_leads_to_nothing_else() -> None:
    handler, request = download._NoOtherScheme(), Request("https://a.example/x")
    for place in ("http://a.example/x", "ftp://a.example/x", "file:///etc/hosts"):
        with pytest.raises(OSError, match="an address of another kind"):
            handler.redirect_request(request, None, 302, "", Message(), place)


def test_only_https_unless_somebody_chose_the_address(server: Server, tmp_path: Path) -> None:
    for url in (server.url, (tmp_path / "x").as_uri(), "ftp://127.0.0.1/x"):
        with pytest.raises(UsageError, match="no address of https"):
            fetch(url, tmp_path / "weights.pt", sha256=None, remedy="")
    assert server.asked == []


def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT * 100
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(GenzooError, match="File too large"):
            get(server, tmp_path / "weights.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert files(tmp_path) == set()


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(GenzooError, match="refused") as error:
        fetch("https://127.0.0.1:9/x", tmp_path / "weights.pt", sha256=None, remedy="go elsewhere")
    assert "go elsewhere" in str(error.value)


PROGRAM = """
import sys, time
from pathlib import Path
from genzoo.machine.download import TYPED, fetch
time.sleep(float(sys.argv[3]))
fetch(sys.argv[1], Path(sys.argv[2]), sha256=None, remedy="", schemes=TYPED)
"""


def process(server: Server, path: Path, delay: float) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", PROGRAM, server.url, str(path), str(delay)]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_processes_at_once_get_one_good_file(server: Server, tmp_path: Path, delay: float) -> None:
    server.content, server.block_seconds = CONTENT * 10, 0.005
    path = tmp_path / "weights.pt"
    running = [process(server, path, k * delay) for k in range(4)]
    for one in running:
        _, error = one.communicate(timeout=120)
        assert one.returncode == 0, error.decode()
    assert path.read_bytes() == server.content
    digest = hashlib.sha256(server.content).hexdigest()
    assert (tmp_path / "weights.pt.sha256").read_text().startswith(digest)
    assert files(tmp_path) == {"weights.pt", "weights.pt.sha256"}
    assert server.asked == [None]


def test_what_a_killed_process_left_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.content, server.block, server.block_seconds = CONTENT * 600, 1 << 16, 0.05
    path = tmp_path / "weights.pt"
    killed = process(server, path, 0)
    part = tmp_path / f"weights.pt.part-{killed.pid}"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    have = part.stat().st_size
    assert 0 < have < len(server.content)
    server.block_seconds = 0.0
    assert get(server, path).read_bytes() == server.content
    assert server.asked == [None, f"bytes={have}-"]
    assert files(tmp_path) == {"weights.pt", "weights.pt.sha256"}
