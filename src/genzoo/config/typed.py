"""What a value on the command line means: the one rule for all keys, and the help's words for it.

Hydra reads values by a grammar of its own: a comma separates the jobs of a sweep, `2024` is a
number, `${x}` another key. That suits numbers and lists; a caption or a path is text, and means
what it says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from genzoo.config.paths import searched
from genzoo.core.errors import UsageError

CAPTIONS = ("prompt", "end_prompt", "source", "target")
PATHS = (  # or words that stand for one: last, openai, zoo/...
    "captions",
    "checkpoint",
    "clip",
    "data.cache",
    "data.root",
    "data.source.root",
    "end",
    "file",
    "guidance.checkpoint",
    "hydra.run.dir",
    "image",
    "images",
    "mask",
    "metrics.clip",
    "metrics.weights.*",
    "output",
    "real",
    "upsampler",
    "weights_dir",
)
PATH_LISTS = ("runs",)
NAMES = ("given", "logger.entity", "logger.project", "name")
MADE_BY_HYDRA = ("output", "hydra.run.dir")  # which does not know what ~ is
NOTHING = "null"
MISSING = "???"  # OmegaConf's word for a value that is still to be given; it cannot be text
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
ENTRY = re.compile(r"\s*(?:'[^']*'|\"[^\"]*\"|[^,])+")  # of a list; commas in quotes are text
WORDS = ("true", "false", "null", "nan", "inf")  # which mean something to Hydra

RULE = f"""\
Values:
  Captions ({", ".join(f"{key}=" for key in CAPTIONS)}), paths (data.root=, checkpoint=,
  output=, image= ...) and names are taken as they stand: commas, quotes, brackets, ${{...}}
  and numbers are text there; {NOTHING} alone means none. runs= is a list of paths with commas.
  All other values follow Hydra's rules: 1e-3 is a number, [8,16] a list, {NOTHING} none.
  So do all values of a sweep (-m), where a comma separates jobs: 'prompt="a, b","c"' is two.
  +key=value adds a key that configs/ leave to a default; one that nothing knows is refused.
"""


def is_text(key: str) -> bool:
    """Whether the values of a dotted key are captions, paths or names."""
    return any(fnmatchcase(key, pattern) for pattern in (*CAPTIONS, *PATHS, *NAMES))


def as_typed(argument: str) -> str:
    """An argument `key=value` for Hydra, so that text arrives as it was typed.

    Args:
        argument: of a single run; in a sweep Hydra's rules hold.

    Raises:
        UsageError: for a folder to be made that has no name, a value without a key, or one that
            stands for none.
    """
    typed_key, equals, value = argument.partition("=")
    key = typed_key.lstrip("+")
    if equals and not key:
        raise UsageError(f"{argument} has no key", "write key=value")
    if not equals or value == NOTHING:
        return argument
    if value == MISSING or (key in PATH_LISTS and MISSING in value.split(",")):
        raise UsageError(f"{key}={MISSING} stands for a value that is missing", "write another")
    if is_text(key):
        if key in MADE_BY_HYDRA and not value:
            raise UsageError(f"{key}= is empty", "name a folder")
        if key in MADE_BY_HYDRA and (value == "~" or value.startswith("~/")):
            value = str(Path(value).expanduser())
        return f"{typed_key}={quoted(value)}"
    if key in PATH_LISTS and not value.startswith("["):
        return f"{typed_key}=[{','.join(quoted(part) for part in value.split(','))}]"
    if "\n" in value:
        raise UsageError(f"{argument} has a line break in it", "write it in one line")
    return argument


def quoted(text: str) -> str:
    """Text for Hydra's grammar: a plain word, or in quotes and safe from interpolation."""
    if PLAIN.fullmatch(text) and text.lower() not in WORDS:
        return text
    text = escaped(text)
    text = re.sub(r"(\\*)'", r"\1\1\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", text) + "'"


def escaped(text: str) -> str:
    r"""Text such that OmegaConf, which reads `${x}` as another key's value, gives it back."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def unresolved(text: str) -> str:
    r"""Text with its interpolations made text as well; what is escaped already stays so."""
    return re.sub(r"(\\*)\$\{", lambda m: m[0] if len(m[1]) % 2 else f"{m[1]}\\${{", text)


def to_type(override: str) -> str:
    """What a person types for an override of Hydra's: the inverse of `as_typed`.

    Args:
        override: of a run or of a job of a sweep, as Hydra lists it.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    typed_key, _, value = override.partition("=")
    key = typed_key.lstrip("+")
    if value == NOTHING or not (is_text(key) or key in PATH_LISTS):
        return override
    read = OverridesParser.create().parse_override(override).value()
    if isinstance(read, str):
        return f"{typed_key}={_unescaped(read)}"
    if isinstance(read, list) and all(isinstance(part, str) for part in read):
        parts = [_unescaped(part) for part in read]
        if not any("," in part for part in parts):
            return f"{typed_key}={','.join(parts)}"
    return override


def _unescaped(text: str) -> str:
    from omegaconf import OmegaConf

    return str(OmegaConf.create({"text": text}).text)


def is_sweep(arguments: Sequence[str], *, experiments: Path) -> bool:
    """Whether a command starts a sweep: by a switch, or by an experiment that is one.

    Args:
        arguments: of the command line.
        experiments: the folder of genzoo's experiments; one's own count, too.
    """
    if any(word in arguments for word in ("-m", "--multirun", "hydra.mode=MULTIRUN")):
        return True
    folders = [experiments, *(folder / "experiment" for folder in own_folders(arguments))]
    for argument in arguments:
        key, _, name = argument.lstrip("+").partition("=")
        files = [file for folder in folders if (file := folder / f"{name}.yaml").is_file()]
        if key == "experiment" and files:
            return "mode: MULTIRUN" in files[0].read_text(encoding="utf-8")
    return False


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """What `--config-dir` names, as one word or as two, and the folders of `hydra.searchpath`."""
    found = []
    for number, argument in enumerate(arguments):
        switch, equals, value = argument.partition("=")
        if switch in ("--config-dir", "-cd"):
            found.append(Path(value if equals else "".join(arguments[number + 1 : number + 2])))
        if switch.lstrip("+") == "hydra.searchpath":
            entries = ENTRY.findall(value.strip("[] "))
            words = (entry.strip().strip("\"'") for entry in entries)
            found += [folder for word in words if (folder := searched(word)) is not None]
    return found
