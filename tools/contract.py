"""A contract for import-linter: every room imports exactly the rooms of its line."""

from __future__ import annotations

import grimp
from importlinter import Contract, ContractCheck, fields, output

from tools.rooms import Arrows, arrows, parse

NEW = "find the import another home, or name {} on its line (then `make plan`)"


class Rooms(Contract):
    """Lines ``room: what it imports``; a line names only rooms whose lines come later.

    So imports run one way, and a new import between rooms is a documented decision.
    """

    type_name = "rooms"

    lines = fields.ListField(subfield=fields.StringField())

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Compare the lines with the imports."""
        wrong = faults(parse(list(self.lines)), arrows(graph))  # type: ignore[call-overload]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """A line for each fault."""
        for fault in check.metadata["wrong"]:
            output.print_error(f"- {fault}")


def faults(lines: Arrows, real: Arrows) -> list[str]:
    """The faults of the lines, or of the imports."""
    order = list(lines)
    found = [f"{room} has no line: write one" for room in sorted(real.keys() - lines.keys())]
    found += [f"there is no {room}: take its line away" for room in order if room not in real]
    for k, room in enumerate(order):
        own, named = real.get(room, frozenset()), lines[room]
        found += [f"{room} imports {o}: {NEW.format(o)}" for o in sorted(own - named)]
        found += [f"{room} imports no {o}: take it off its line" for o in sorted(named - own)]
        found += [
            f"{room} stands below {o}, which its line names" for o in order[:k] if o in named
        ]
    return found
