"""Captioned images: sources, their cache, their splits, and the one datamodule."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.data.opening import open as open


__all__ = ["open"]


def __getattr__(name: str) -> Any:
    if name == "open":
        return importlib.import_module("genzoo.data.opening").open
    raise AttributeError(f"module 'genzoo.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
