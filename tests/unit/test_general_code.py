"""General code names no family: what one needs, it declares beside itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import genzoo

SOURCE = Path(genzoo.__file__).parent
ABILITIES = {"inpaint.py"}  # tasks that exist for what one family can do
FILES = [
    SOURCE / "cli.py",
    SOURCE / "weights" / "checkpoint.py",
    SOURCE / "weights" / "saved.py",
    *(file for room in ("command", "run", "config", "lit", "tasks")
      for file in sorted((SOURCE / room).rglob("*.py")) if file.name not in ABILITIES),
]  # fmt: skip
SHARED = {"base", "scoring", "adversarial", "parent", "frozen", "latent"}  # no families

NAMES = re.compile("unclip|glide|clip|openai|upsampl", re.IGNORECASE)
# What is called alike and names no family, with where it may stand.
ALIKE = [
    # Of gradients: what is called, the key, and the sentences that say so.
    ("lit/*", r"clip_grad\w*|gradient_clip\w*|optimizer\.clip\b|\[\"clip\"\]"),
    ("lit/*", r"unscales nor clips|neither clips|which clips and|are clipped|Clip unscaled"),
    ("*", r"metrics\.clip\b"),  # a settled key
    ("*", r"clip_score|clip_entries|CLIPScore\b|CLIP score\b"),  # the metric's name in the field
    # A network of features, as `inception` and `dinov2` are; not the family of that name.
    ("tasks/extractors.py", r"\bCLIP\b|clip_features|clip_extractor|\"clip\"|a CLIP\b"),
    ("tasks/measurable.py", r"\bCLIP\b"),
    ("config/schema/keys.py", r"metrics\.weights\.clip\b"),
    ("run/cascade.py", r"upsampl\w+"),  # the field's word for what the second stage does
    ("config/second_stage.py", r'"upsampler"'),  # the one home of a settled key
    ("config/typed.py", r'"(clip|upsampler)"|\bopenai\b'),  # the table of keys that hold paths
    ("config/schema/keys.py", r'"(optimizer\.)?clip"|"upsample(r(_steps)?)?"'),  # that of all keys
]


def named(text: str, place: Path) -> Iterator[str]:
    """The lines of a general file that name a family."""
    for line in text.splitlines():
        rest = line
        for where, words in ALIKE:
            if place.match(where):
                rest = re.sub(words, "", rest)
        if NAMES.search(rest):
            yield line.strip()


def families(text: str) -> set[str]:
    """The families whose modules a file imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "genzoo.models":
            found |= {alias.name for alias in node.names}
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {n.split(".")[2] for n in names if n.startswith("genzoo.models.")}
    return found - SHARED


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(SOURCE).as_posix())
def test_it_names_no_family(file: Path) -> None:
    text = file.read_text()
    assert list(named(text, file.relative_to(SOURCE))) == []
    assert families(text) == set()


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('if cfg.model.name == "unclip":', "command/prepare.py"),
        ("from genzoo.weights import openai_clip", "run/build.py"),
        ('if cfg.get("upsampler") == "auto":', "command/prepare.py"),
        ('if cfg.model.name == "clip":', "lit/module.py"),
        ("# CLIP tells images from so many others", "tasks/fit.py"),
        ('if model.get("stage") == "upsample":', "config/schema/together.py"),
    ],
)
def test_what_named_one_is_found(line: str, place: str) -> None:
    """The null model: lines that stood there."""
    assert list(named(line, Path(place))) == [line]


def test_what_imported_one_is_found() -> None:
    text = "from genzoo.models.unclip import UnCLIP\nimport genzoo.models.vae\n"
    assert families(text + "from genzoo.models import gan, base\n") == {"unclip", "vae", "gan"}
    assert families("from genzoo.models.base import identity") == set()
