"""Captioned images: sources, their cache, their splits, and the one datamodule."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.core.eight_bit import to_uint8 as to_uint8
    from genzoo.data.opening import open as open


_HOMES = {"open": "genzoo.data.opening", "to_uint8": "genzoo.core.eight_bit"}
__all__ = ["open", "to_uint8"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'genzoo.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
