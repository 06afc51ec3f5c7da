"""Images to features, features to statistics, statistics to numbers; each step stands alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.metrics.scoring import Score as Score
    from genzoo.metrics.scoring import score as score


__all__ = ["Score", "score"]


def __getattr__(name: str) -> Any:
    if name in ("Score", "score"):
        return getattr(importlib.import_module("genzoo.metrics.scoring"), name)
    raise AttributeError(f"module 'genzoo.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
