"""Classes that configurations of earlier versions know by other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of classes that a configuration names: as checkpoints have them, and as they are called now.
RENAMED = {
    "genzoo.guidance.ClassifierFree": "genzoo.diffusion.guidance.ClassifierFree",
}


def with_new_names(values: Any) -> Any:
    """Plain data with the names of today at every `_target_`; all else as it is."""
    if isinstance(values, Mapping):
        return {key: _renamed(key, value) for key, value in values.items()}
    if isinstance(values, list):
        return [with_new_names(value) for value in values]
    return values


def _renamed(key: Any, value: Any) -> Any:
    if key == "_target_" and isinstance(value, str):
        return RENAMED.get(value, value)
    return with_new_names(value)
