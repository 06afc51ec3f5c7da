"""genzoo: families of image generators, trained on the same captions and compared.

    import genzoo

    model = genzoo.load("zoo/glide_16")
    model.sample(["a red heart", "a blue star"], seed=1)

What it offers is imported when it is first asked for: `import genzoo` alone imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo import data, metrics
    from genzoo.api.loading import load
    from genzoo.api.model import Model
    from genzoo.core.errors import GenzooError, Unsupported, UsageError

__version__ = "0.1.0"
__all__ = [
    "GenzooError",
    "Model",
    "Unsupported",
    "UsageError",
    "__version__",
    "data",
    "load",
    "metrics",
]

_HOMES = {
    "GenzooError": "genzoo.core.errors",
    "Model": "genzoo.api.model",
    "Unsupported": "genzoo.core.errors",
    "UsageError": "genzoo.core.errors",
    "load": "genzoo.api.loading",
}


def __getattr__(name: str) -> Any:
    if name in ("data", "metrics"):
        return importlib.import_module(f"genzoo.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'genzoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
