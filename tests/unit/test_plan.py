"""The plan of the rooms: the contract, the diagram and the table."""

from __future__ import annotations

import pytest

from tools import plan, rooms
from tools.contract import faults
from tools.layout import layout, levels
from tools.rooms import parse, reduced

LINES = ["top: middle low", "middle: low", "low:"]
REAL = {
    "low": frozenset[str](),
    "middle": frozenset({"low"}),
    "top": frozenset({"middle", "low"}),
}


def test_diagram_and_table_are_those_of_the_imports() -> None:
    assert plan.outdated() == [], "run `make plan`"


def test_the_lines_are_the_imports() -> None:
    assert faults(rooms.allowed(), rooms.arrows()) == []
    assert all(rooms.purpose(room) for room in rooms.allowed())


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["top: middle", *LINES[1:]], "top imports low"),
        ([LINES[0], "middle:", "low:"], "middle imports low"),
        ([*LINES[:2], "low: top"], "low imports no top"),
        (["low:", *LINES[:2]], "top stands below low"),
        (LINES[:2], "low has no line"),
        ([*LINES, "cellar:"], "there is no cellar"),
    ],
)
def test_a_wrong_line_is_named(lines: list[str], fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(parse(lines), REAL))


def test_right_lines_have_no_fault() -> None:
    assert faults(parse(LINES), REAL) == []


def test_an_arrow_that_a_longer_path_implies_is_left_out() -> None:
    assert reduced(REAL)["top"] == {"middle"}


def test_every_arrow_points_down() -> None:
    real = rooms.arrows()
    height = levels(real)
    assert all(height[other] > height[room] for room in real for other in real[room])


def test_boxes_of_a_level_do_not_overlap() -> None:
    placed = layout(reduced(rooms.arrows())).place
    for name, (x, y) in placed.items():
        beside = [other for room, (other, level) in placed.items() if level == y and room != name]
        assert all(abs(other - x) >= 1 - 1e-3 for other in beside)
