"""`python -m tools.plan` writes the diagram of the rooms and the table of CONTRIBUTING."""

from __future__ import annotations

from pathlib import Path

from genzoo.command.parser import Parser
from tools import rooms
from tools.rooms_svg import svg

DIAGRAM = rooms.ROOT / "docs" / "rooms.svg"
PAGE = rooms.ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: written by `make plan` -->\n", "<!-- end of rooms -->\n"


def diagram() -> str:
    """The diagram of the rooms, as SVG."""
    real = rooms.arrows()
    return svg(
        rooms.reduced(real),
        purposes={room: rooms.purpose(room) for room in real},
        science=rooms.science(),
        start="python -m genzoo",
    )


def table() -> str:
    """A line a room, in the order of the contract: what it is for, and what it may import."""
    lines = ["| room | what | may import |", "| --- | --- | --- |"]
    order = rooms.allowed()
    for room, others in order.items():
        imports = ", ".join(sorted(others, key=list(order).index)) or "nothing of genzoo"
        lines.append(f"| `{room}` | {rooms.purpose(room)} | {imports} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """CONTRIBUTING with the table as it has to be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def outdated() -> list[Path]:
    """The files that `make plan` would change."""
    wanted = {DIAGRAM: diagram(), PAGE: page(PAGE.read_text(encoding="utf-8"))}
    return [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


if __name__ == "__main__":
    Parser(
        prog="python -m tools.plan",
        description="Write docs/rooms.svg and the table of CONTRIBUTING from the imports.",
    ).parse_args()
    DIAGRAM.parent.mkdir(exist_ok=True)
    DIAGRAM.write_text(diagram(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
