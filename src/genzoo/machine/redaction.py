"""Paths and secrets removed from what is shared: images, results, pages, dashboards, cards.

A relative path stays as it is: repeating a run needs it. A path below the home folder begins with
~, any other one is reduced to its name. Values of keys and environment variables with secret names
are left out.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from genzoo.config.typed import CAPTIONS
from genzoo.machine.download import sha256_of

SECRET = re.compile(r"(?i)(api_?key|token|secret|passw(or)?d|credential)")
HIDDEN = "***"
SHORTEST = 8  # characters of a secret in the environment
DIGITS = 12  # of a checksum


def mentioned(path: str | Path) -> str:
    """A file by its name and the beginning of its SHA-256."""
    file = Path(path).expanduser()
    if not file.is_file():
        return place(str(path))
    state = file.stat()
    return f"{file.name} {_digest(file.resolve(), state.st_size, state.st_mtime_ns)}"


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    return sha256_of(file)[:DIGITS]


def place(path: str) -> str:
    """A path without the folders that belong to a machine."""
    if not Path(path).is_absolute():
        return path
    home = _home()
    if home is not None and Path(path) == home:
        return "~"
    if home is not None and Path(path).is_relative_to(home):
        return f"~/{Path(path).relative_to(home)}"
    return Path(path).name or "/"


def cleaned(values: Any, *, key: str = "") -> Any:
    """Plain data, such as a configuration, without paths and secrets."""
    if isinstance(values, Mapping):
        return {name: cleaned(value, key=str(name)) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [cleaned(value, key=key) for value in values]
    if not isinstance(values, str):
        return values
    if SECRET.search(key):
        return HIDDEN
    shown = without_secrets(values)
    return shown if key in CAPTIONS else place(shown)


def command(arguments: Sequence[str]) -> str:
    """A command line without paths and secrets."""
    return shlex.join(_argument(argument) for argument in arguments)


def redacted(line: str) -> str:
    """A line of text, such as an error's: without the home folder and secrets."""
    home = _home()
    line = without_secrets(line)
    return line if home is None else re.sub(rf"{re.escape(str(home))}(?![\w.-])", "~", line)


def without_secrets(text: str) -> str:
    """Text without the values of secret environment variables, or a password in an address."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return re.sub(r"(\w+://)[^/\s@]+@", rf"\1{HIDDEN}@", text)


def _argument(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not equals:
        return place(without_secrets(argument))
    if SECRET.search(key):
        return f"{key}={HIDDEN}"
    value = without_secrets(value)
    if key.lstrip("+") in CAPTIONS:
        return f"{key}={value}"
    # Lists of paths, and lists in brackets or quotes.
    parts = re.split(r"([,\[\]'\"{}]|(?<=\w):(?=/(?!/)))", value)
    return redacted(f"{key}={''.join(place(part) for part in parts)}")


def _home() -> Path | None:
    """The user's home folder; None where there is none to hide."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if len(home.parts) > 1 else None
