"""The samples of a comparison as one image: real images first, then a row a model."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from genzoo.core.errors import GenzooError
from genzoo.machine.console import status
from genzoo.report.fonts import REMEDY as FONTS
from genzoo.report.fonts import Font, font_for, is_covered
from genzoo.report.gallery import Row, Sheet
from genzoo.report.labels import SEPARATOR
from genzoo.report.runs import REMEDY

SIDE, GAP, LINE, MARGIN = 96, 8, 15, 24  # of an image, between images, of a text line, around
LABEL, LINES = 190, 5  # width of the column of names, most lines of a caption
SMALL, NORMAL = 12, 14  # of fonts, in pixels
INK, SOFT, RULE = "#1d2330", "#667085", "#d5d9e2"


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Rows of images with their labels on the left and the captions beneath the columns.

    Raises:
        GenzooError: when an image cannot be read.
    """
    captions = [
        [
            (line, font)
            for text, most in ((item.caption, LINES), (item.note, 1))
            for font in [font_for(text, size=SMALL)]
            for line in _wrap(text, font, SIDE, most)
        ]
        for item in sheet.items
    ]
    odd = sum(not is_covered(item.caption) for item in sheet.items)
    if odd:
        status(f"no font here has all characters of {odd} captions; {FONTS}")
    rows = [sheet.real, *sheet.samples]
    rows += [Row(f"{row.label}, reconstructed", row.images) for row in sheet.reconstructions]
    feet = max(map(len, captions)) * LINE + GAP
    width = MARGIN + LABEL + len(sheet.items) * (SIDE + GAP) - GAP + MARGIN
    canvas = Image.new("RGB", (width, MARGIN + len(rows) * (SIDE + GAP) + feet + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    for k, row in enumerate(rows):
        top = MARGIN + k * (SIDE + GAP)
        parts = row.label.split(SEPARATOR)
        normal = font_for(row.label, size=NORMAL)
        lines = [line for part in parts for line in _wrap(part, normal, LABEL - 16, 2)][:5]
        middle = top + (SIDE - len(lines) * (LINE + 3)) // 2
        for n, line in enumerate(lines):
            pen.text((MARGIN, middle + n * (LINE + 3)), line, fill=INK, font=normal)
        for column, path in enumerate(row.images):
            left = MARGIN + LABEL + column * (SIDE + GAP)
            if path is not None:
                canvas.paste(_load(path), (left, top))
            pen.rectangle((left - 1, top - 1, left + SIDE, top + SIDE), outline=RULE)
    bottom = MARGIN + len(rows) * (SIDE + GAP)
    for column, foot in enumerate(captions):
        left = MARGIN + LABEL + column * (SIDE + GAP)
        for n, (line, font) in enumerate(foot):
            pen.text((left, bottom + n * LINE), line, fill=SOFT, font=font)
    return canvas


def _load(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise GenzooError(f"{path} cannot be read as an image ({error})", REMEDY) from error


def _wrap(text: str, font: Font, width: int, most: int) -> list[str]:
    """Text in at most `most` lines of `width` pixels; what is cut off ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        for piece in _pieces(word, font, width):
            longer = f"{lines[-1]} {piece}".strip()
            if font.getlength(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(piece)
    lines = [line for line in lines if line]
    if len(lines) > most:
        last = lines[most - 1]
        while last and font.getlength(f"{last}…") > width:
            last = last[:-1]
        lines = [*lines[: most - 1], f"{last}…"]
    return lines


def _pieces(word: str, font: Font, width: int) -> list[str]:
    """A word in parts that fit the width."""
    pieces = [""]
    for letter in word[:200]:
        if font.getlength(pieces[-1] + letter) > width and pieces[-1]:
            pieces.append("")
        pieces[-1] += letter
    return pieces
