"""Captions in any script: a font that has their characters, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import ImageFont

from genzoo.report import fonts
from genzoo.report.fonts import Font, font_for, is_covered

ABSENT = "\ufffe"  # no font has it: what is drawn is the box of a missing character


def boxes(text: str, font: Font) -> list[str]:
    """The characters that a font draws as a missing one."""
    box = bytes(font.getmask(ABSENT))
    return [
        character for character in text.replace(" ", "") if bytes(font.getmask(character)) == box
    ]


@pytest.fixture(autouse=True)
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a system has differs; the fonts here are those that come with genzoo."""
    fonts._path_for.cache_clear()
    monkeypatch.setattr(fonts, "_system_fonts", tuple)
    yield
    fonts._path_for.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "a red heart",
        "\u201cquoted\u201d, cut\u2026",
        "Grün, façade",
        "Красное сердце",
        "אדום",
        "κόκκινη",
    ],
)
def test_each_character_is_drawn(text: str) -> None:
    assert boxes(text, font_for(text, size=20)) == []
    assert is_covered(text)


def test_pillows_own_font_would_not_do() -> None:
    assert boxes("Grün", ImageFont.load_default(size=20)) == ["ü"]


def test_a_systems_font_is_taken_for_what_only_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_covered("中")
    font_for("中", size=20)  # boxes, and no error
    fonts._path_for.cache_clear()
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(
        fonts, "_system_fonts", lambda: (broken, tmp_path / "none.ttf", _font(tmp_path))
    )
    assert is_covered("中")
    assert boxes("中", font_for("中", size=20)) == []


def _font(folder: Path) -> Path:
    """A font with a triangle for one character."""
    pen = TTGlyphPen(None)
    for move, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (500, 900)), (pen.lineTo, (900, 0))):
        move(point)
    pen.closePath()
    empty = TTGlyphPen(None).glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "middle"])
    builder.setupCharacterMap({ord("中"): "middle"})
    builder.setupGlyf({".notdef": empty, "middle": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "middle": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Test", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = folder / "Test.ttf"
    builder.save(path)
    return path
