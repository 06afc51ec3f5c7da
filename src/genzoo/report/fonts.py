"""A font for each text of an image: the first one here that has all of its characters."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PUNCTUATION = "\u2018\u2019\u201c\u201d\u2026\u00b7"  # quotes, ellipsis, dot: in Pillow's font
# Regular fonts of many scripts, where a system has them.
PREFERRED = ("NotoSans-", "NotoSansCJK-", "NotoSans", "DroidSansFallback", "wqy-", "unifont")
REMEDY = "install fonts that have them, such as Debian's fonts-noto-core and fonts-noto-cjk"


def font_for(text: str, *, size: int) -> Font:
    """A font with the characters of a text, or Pillow's own where no font here has them all.

    Pillow's font serves ASCII; then come DejaVu Sans, which comes with matplotlib (Latin,
    Greek, Cyrillic, Hebrew, Arabic), and the system's fonts. A text is set in one font.

    Args:
        text: in any script.
        size: in pixels.
    """
    path = _path_for(_visible(text))
    return ImageFont.load_default(size=size) if path is None else _loaded(path, size)


def is_covered(text: str) -> bool:
    """Whether a font here has all characters of a text."""
    wanted = _visible(text)
    return _plain(wanted) or _path_for(wanted) is not None


def _visible(text: str) -> frozenset[str]:
    return frozenset(filter(str.isprintable, text.replace(" ", "")))


@cache
def _path_for(wanted: frozenset[str]) -> Path | None:
    if _plain(wanted):
        return None
    codes = {ord(character) for character in wanted}
    return next((path for path in _fonts() if codes <= _characters(path)), None)


def _plain(wanted: frozenset[str]) -> bool:
    return all(character.isascii() or character in PUNCTUATION for character in wanted)


@cache
def _loaded(path: Path, size: int) -> Font:
    return ImageFont.truetype(path, size=size)


def _fonts() -> Iterator[Path]:
    yield Path(str(importlib.resources.files("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"))
    yield from _system_fonts()


@cache
def _system_fonts() -> tuple[Path, ...]:
    from matplotlib.font_manager import findSystemFonts

    found = [Path(name) for name in findSystemFonts()]
    regular = [path for path in found if "Regular" in path.stem or "-" not in path.stem]
    return tuple(sorted(regular, key=_preference))


def _preference(path: Path) -> tuple[int, str, str]:
    rank = next((k for k, name in enumerate(PREFERRED) if path.name.startswith(name)), 99)
    return rank, path.name, str(path)


@cache
def _characters(path: Path) -> frozenset[int]:
    """The code points that a font has an outline for; none if it cannot be used."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            outlines = "glyf" in font or "CFF " in font  # a font of bitmaps has its own sizes
            return frozenset(font.getBestCmap() or {}) if outlines else frozenset()
    except (OSError, TTLibError, AssertionError, KeyError):
        return frozenset()
