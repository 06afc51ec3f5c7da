"""Arguments of calls from Python: checked before anything is done, NumPy's numbers included."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from genzoo.core.errors import UsageError


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's, in lists and mappings too; anything else as it is."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value.item() if isinstance(value, np.generic) else value


def whole(value: Any, *, name: str, least: int) -> int:
    """A whole number.

    Raises:
        UsageError: for anything else, or one below `least`.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise UsageError(
            f"{name}={_shown(value)} is no whole number", f"write one, such as {name}={least + 1}"
        )
    if value < least:
        raise UsageError(f"{name}={value} is too small", f"give at least {least}")
    return int(value)


def number(value: Any, *, name: str) -> float:
    """A finite number.

    Raises:
        UsageError: for anything else.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not real or not math.isfinite(value):
        raise UsageError(f"{name}={_shown(value)} is no finite number", f"write {name}=2.0")
    return float(value)


def share(value: Any, *, name: str) -> float:
    """A number from 0 to 1.

    Raises:
        UsageError: for anything else.
    """
    found = number(value, name=name)
    if not 0 <= found <= 1:
        raise UsageError(f"{name}={_shown(value)} is no share", "give a number from 0 to 1")
    return found


def texts(value: Any, *, name: str) -> list[str]:
    """One text, or several, as a list.

    Raises:
        UsageError: for what is no text, or holds something else, or nothing.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise UsageError(f"{name}={_shown(value)} is no text", "give a string or a list of them")
    found = list(value)
    for one in found:
        if not isinstance(one, str):
            raise UsageError(
                f"{name} hold {_shown(one)}, which is no text", 'give strings; "" for no caption'
            )
    if not found:
        raise UsageError(f"{name} is empty", "give at least one")
    return found


def text(value: Any, *, name: str) -> str:
    """One text.

    Raises:
        UsageError: for anything else.
    """
    if not isinstance(value, str):
        raise UsageError(f"{name}={_shown(value)} is no text", "give a string")
    return value


def optional_text(value: Any, *, name: str) -> str | None:
    """A text, or None.

    Raises:
        UsageError: for anything else.
    """
    return None if value is None else text(value, name=name)


def _shown(value: Any) -> str:
    """A value as it is typed, if it is short."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else f"<{type(value).__name__}>"
