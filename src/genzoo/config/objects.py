"""From a `_target_` to the object that it names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from genzoo.core.errors import UsageError


def build(node: Mapping[str, Any], **extra: Any) -> Any:
    """Call the `_target_` of a configuration node with its other keys; nested nodes first.

    Any class is called: what came out of a file has been through `weights.saved.admitted`.

    Raises:
        UsageError: for a target that does not exist, or keys that it does not take.
    """
    path = str(node["_target_"])
    called = target(path)
    values = {k: _built(v) for k, v in node.items() if k not in ("_target_", "name")} | extra
    try:
        inspect.signature(called).bind(**values)
    except TypeError as error:
        raise UsageError(
            f"{path} cannot be made of these keys ({error})", "see: python -m genzoo --cfg job"
        ) from error
    return called(**values)


def _built(value: Any) -> Any:
    """A node with a target called, in any depth; all else as it is."""
    if not isinstance(value, Mapping):
        return value
    if "_target_" in value:
        return build(value)
    return {key: _built(inner) for key, inner in value.items()}


def target(path: str) -> Any:
    """The callable that a dotted path names.

    Raises:
        UsageError: where there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"_target_ {path!r} does not exist ({error})", "check its spelling"
        ) from error
    return found
