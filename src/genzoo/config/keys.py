"""The keys of a configuration: which there are, and which was probably meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genzoo.config.composition import compose
from genzoo.config.objects import target
from genzoo.config.paths import groups
from genzoo.config.schema.keys import OPTIONAL
from genzoo.core.errors import UsageError


def check_keys(
    cfg: DictConfig,
    overrides: Sequence[str],
    *,
    but: Sequence[str] = (),
    own_groups: Collection[str] = (),
    arguments: bool = False,
) -> None:
    """Make sure that keys which Hydra was made to take or to drop mean something.

    Args:
        cfg: of the job.
        overrides: of its command line, as Hydra lists them: `+key=value`, `++key=value`, `~key`.
        but: sections that are looked at elsewhere.
        own_groups: of the person's own folder of configurations.
        arguments: whether to look at keys beside a `_target_` of genzoo's as well. What it takes
            is known once it is imported, and torch with it.

    Raises:
        UsageError: names the first one that does not.
    """
    changed = [o for o in overrides if o[:1] in "+~" and o[1:2] != "("]
    chosen = {*groups(), *own_groups}  # one that is taken away may be what a run reads
    changed = [o for o in changed if o[0] == "~" or _key(o).partition("@")[0] not in chosen]
    changed = [o for o in changed if _key(o).partition(".")[0] not in (*but, "hydra")]
    if not changed:
        return
    rest = compose(*(override for override in overrides if override not in changed))
    composed = OmegaConf.to_container(rest, resolve=False)
    assert isinstance(composed, dict)
    tree = {str(name): value for name, value in composed.items()}
    known = sorted({*keys(tree), *_optional(tree)})
    for override in changed:
        key = _key(override)
        node = _beside(tree, key)
        if "_target_" in node and key not in known and not override.startswith("~"):
            of = str(node["_target_"])
            if not of.startswith("genzoo.") or not arguments:
                continue  # of somebody's own class nobody knows the arguments
            section = key.rpartition(".")[0]
            known = sorted({*known, *(f"{section}.{name}" for name in _defaults(of))})
        group, _, package = key.partition("@")
        if override.startswith("~") and (package or group.replace("/", ".")) in known:
            raise UsageError(f"~{key} takes away what a run reads", f"write another {key}=")
        if key not in known and group not in chosen:
            guess = closest_key(key, known)
            raise UsageError(
                f"with model={cfg.model.name} there is no key {key}",
                f"did you mean {guess}?" if guess else "see: python -m genzoo --cfg job",
            )


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _optional(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys that could stand in a network's section, but are left to Python's defaults."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            for key in OPTIONAL.get(name, ()):
                yield f"{prefix}{name}.{key}"
            yield from _optional(value, f"{prefix}{name}.")


def _beside(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The section that a dotted key stands in, or would; empty where there is none."""
    node: Any = tree
    for name in key.split(".")[:-1]:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _defaults(path: str) -> list[str]:
    """The arguments of a class of genzoo's that have a number, a word or a switch by default.

    Not `channels`: images have three.
    """
    parameters = inspect.signature(target(path)).parameters.values()
    plain = [p.name for p in parameters if isinstance(p.default, bool | int | float | str)]
    return [name for name in plain if name != "channels"]


def keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key of a nested mapping, dotted."""
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from keys(value, f"{prefix}{key}.")


def closest(word: str, words: Sequence[str]) -> str | None:
    """The known word that was probably meant."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return found[0] if found else None


def closest_key(key: str, known: Sequence[str]) -> str | None:
    """The known dotted key that was probably meant, of the section that was."""
    section, dot, rest = key.partition(".")
    sections = sorted({one.partition(".")[0] for one in known})
    meant = section if section in sections else closest(section, sections)
    if meant is None:
        return closest(key, known)
    within = {one.partition(".")[2]: one for one in known if one.startswith(f"{meant}.")}
    inner = closest(rest, list(within)) if dot else None
    return within[inner] if inner else closest(f"{meant}{dot}{rest}", known)


def typed_keys(overrides: Sequence[str]) -> dict[str, str]:
    """What was typed, by its key; as Hydra lists it."""
    return dict(override.lstrip("+~").split("=", 1) for override in overrides if "=" in override)
