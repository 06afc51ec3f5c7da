"""What may stand in a configuration, checked before anything is loaded, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genzoo.config.schema.keys import WITHOUT, is_section, rule_of
from genzoo.config.schema.rule import Refused, shown
from genzoo.config.schema.together import conflicts
from genzoo.config.typed import MISSING
from genzoo.core.errors import UsageError

MOST = 4  # problems in one line


def check_values(cfg: DictConfig) -> None:
    """Every value by itself; numbers are put down as what they are (1e6 images as 1000000).

    Raises:
        UsageError: with all that is wrong, and what may stand there.
    """
    wrong: list[tuple[str, str, str]] = []
    for key, value in _leaves(_tree(cfg)):
        if value == MISSING:  # asked for where it is needed
            continue
        try:
            read = _read(key, value)
        except Refused as refused:
            wrong.append((key, f"{shown(value)} {refused}", _remedy(key)))
            continue
        if repr(read) != repr(value):
            OmegaConf.update(cfg, key, read, merge=False)
    # A value that other keys take over by interpolation is reported once, where it stands.
    first = {(reason, remedy): key for key, reason, remedy in reversed(wrong)}
    reported = [entry for entry in wrong if first[entry[1:]] == entry[0]]
    _refuse([(f"{key}={reason}", remedy) for key, reason, remedy in reported])


def check_together(cfg: DictConfig, *, samples: bool = True) -> None:
    """What goes with what; every value by itself is right.

    Args:
        cfg: of the job.
        samples: whether its model generates images.

    Raises:
        UsageError: with all that does not go together.
    """
    _refuse(list(conflicts(_tree(cfg), samples=samples)))


def _refuse(wrong: list[tuple[str, str]]) -> None:
    if not wrong:
        return
    *first, (problem, remedy) = wrong[:MOST]
    lines = [*(f"{one}; {mend}" for one, mend in first), problem]
    raise UsageError("; ".join(lines), remedy)


def _tree(cfg: DictConfig) -> dict[str, Any]:
    tree = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    assert isinstance(tree, dict)
    model = tree.get("model")
    if isinstance(model, dict) and not str(model.get("_target_")).startswith("genzoo."):
        # Somebody's own class: its keys may be called as ours are, and mean something else.
        tree["model"] = {key: model[key] for key in ("name", "_target_") if key in model}
    return {str(key): value for key, value in tree.items() if key not in ("hydra", "run")}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values; a mapping where a value is due, too."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if not isinstance(value, Mapping) or (rule_of(key) is not None and not is_section(key)):
            yield key, value
        else:
            yield from _leaves(value, f"{key}.")


def _read(key: str, value: Any) -> Any:
    rule = rule_of(key)
    if is_section(key) and not (value is None and key in WITHOUT) and rule is None:
        raise Refused("is no section")
    if isinstance(value, Mapping):
        raise Refused("is a section")
    return value if rule is None else rule.read(value)


def _remedy(key: str) -> str:
    rule = rule_of(key)
    if rule is None:
        return f"set the keys within it, as in {key}.<key>=<value>"
    return f"write {rule.words}"
