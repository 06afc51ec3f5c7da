"""What all tests share: no network, no account, caches of their own, a few tiny helpers."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported anywhere.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: none to spare for threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
for name in ("WANDB_API_KEY", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
    os.environ.pop(name, None)
for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):  # for child processes
    os.environ[name] = "http://127.0.0.1:9"

import pytest  # noqa: E402
import torch  # noqa: E402

from genzoo.core.types import Batch  # noqa: E402
from tests.shell import Command, Result  # noqa: E402

_connect = socket.socket.connect


def _local_only(self: socket.socket, address: object) -> None:
    local = self.family == socket.AF_UNIX or (
        isinstance(address, tuple) and str(address[0]) in ("127.0.0.1", "localhost", "::1")
    )
    if not local:
        raise RuntimeError(f"a test wanted to reach {address}")
    _connect(self, address)  # type: ignore[arg-type]


socket.socket.connect = _local_only  # type: ignore[method-assign,assignment]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Caches below the test's own folder; the person's are neither read nor written."""
    folder = tmp_path_factory.mktemp("cache")
    before = {name: os.environ.get(name) for name in ("GENZOO_CACHE", "XDG_CACHE_HOME")}
    os.environ["GENZOO_CACHE"] = str(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture
def batch() -> Batch:
    """Six random captioned images of 16 px, one with an empty caption."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(32)[None] < torch.tensor([0, 1, 3, 5, 8, 32])[:, None]
    return Batch(
        image=torch.randint(0, 256, (6, 3, 16, 16), generator=generator) / 127.5 - 1,
        caption=tuple("abcdef"),
        tokens=torch.randint(0, 2048, (6, 32), generator=generator),
        token_mask=mask,
        label=torch.tensor([0, 1, 2, 0, 1, 2]),
        index=torch.arange(6) + 10,
    )


@pytest.fixture
def genzoo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: arguments -> (exit status, stdout, stderr)."""
    from hydra.core.global_hydra import GlobalHydra

    from genzoo import cli

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["genzoo", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as error:
            status = int(error.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Result]:
    """A command in a process of its own: arguments and those of `Command` -> how it ended."""

    def run(*arguments: str, timeout: float = 240.0, **options: Any) -> Result:
        return Command(*arguments, **{"cwd": tmp_path, **options}).wait(timeout=timeout)

    return run
