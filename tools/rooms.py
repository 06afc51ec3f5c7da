"""The rooms of genzoo, its folders and the files beside them, and what each imports of the others.

Read from the source by grimp, as import-linter does: imports inside functions and for types count.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grimp

PACKAGE = "genzoo"
ROOT = Path(__file__).parents[1]
CONTRACT = "rooms"  # its type in pyproject.toml

Arrows = dict[str, frozenset[str]]


def arrows(graph: grimp.ImportGraph | None = None) -> Arrows:
    """Which rooms each room imports from."""
    graph = graph or grimp.build_graph(PACKAGE, cache_dir=None)
    rooms = {child.rpartition(".")[2] for child in graph.find_children(PACKAGE)}
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.find_descendants(PACKAGE):
        own = _room(module)
        for other in graph.find_modules_directly_imported_by(module):
            if other.startswith(f"{PACKAGE}.") and _room(other) != own:
                found[own].add(_room(other))
    return {room: frozenset(found[room]) for room in sorted(found)}


def allowed() -> Arrows:
    """What the lines of the contract in pyproject.toml allow, from the first room to the last."""
    return parse(next(c["lines"] for c in _contracts() if c["type"] == CONTRACT))


def science() -> frozenset[str]:
    """The rooms that are plain torch throughout, by the contract that keeps frameworks out."""
    plain = (c for c in _contracts() if "hydra" in c.get("forbidden_modules", ()))
    modules = next(plain)["source_modules"]
    return frozenset(_room(module) for module in modules if module.count(".") == 1)


def parse(lines: list[str]) -> Arrows:
    """Lines such as ``data: text machine core``."""
    pairs = (line.partition(":") for line in lines)
    return {room.strip(): frozenset(others.split()) for room, _, others in pairs}


def purpose(room: str) -> str:
    """The first line of a room's docstring, without its full stop."""
    base = ROOT / "src" / PACKAGE / room
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0].rstrip(".")


def reduced(arrows: Mapping[str, frozenset[str]]) -> Arrows:
    """The arrows that no longer way through other rooms implies, of arrows without circles."""
    reach: dict[str, frozenset[str]] = {}

    def reached(room: str) -> frozenset[str]:
        if room not in reach:
            reach[room] = arrows[room].union(*(reached(other) for other in arrows[room]))
        return reach[room]

    return {
        room: frozenset(o for o in others if not any(o in reached(via) for via in others))
        for room, others in arrows.items()
    }


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def _room(module: str) -> str:
    return module.split(".")[1]
