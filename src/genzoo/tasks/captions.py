"""Captions that a person hands to a command, typed or in a file, and how much of them is read.

A value that ends in .txt means a file where there is one. Where there is none, it is a caption if
it has spaces ("reads readme.txt") and a mistyped file's name otherwise.
"""

from __future__ import annotations

import codecs
import errno
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genzoo.core.errors import UsageError
from genzoo.data.dataset import TextImageData
from genzoo.machine.console import status
from genzoo.models.base import GenerativeModel
from genzoo.text.length import cut_in_words, tokens_cut
from genzoo.text.tokenizer import Tokenizer

LARGEST = 64 * 2**20  # bytes of a file of captions
LONGEST = 10_000  # characters of a caption in a file; no model reads a tenth of them
# The first bytes of a file in an encoding of more than 8 bits, longest first: one of 16 bits
# begins one of 32.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)


def captions_of(value: Any, *, key: str) -> list[str]:
    """What a person typed: a caption, or the name of a file with one caption a line.

    Args:
        value: that was typed.
        key: where.

    Raises:
        UsageError: for a file that is not there, cannot be read or holds no captions.
    """
    word = str(value)
    if not word.lower().endswith(".txt"):
        return [word]
    path = Path(word).expanduser()
    if not _is_there(path):
        if re.search(r"\s", word.strip()):
            return [word]
        raise UsageError(
            f"{key}={word} names a file of captions, and there is none",
            f'name one that is there, or write a caption: {key}="a red heart"',
        )
    captions = read_captions(path)
    status(f"{key}= reads {len(captions):,} caption{'s' * (len(captions) != 1)} from {path}")
    return captions


def caption_of(value: Any, *, key: str) -> str | None:
    """As `captions_of`, where one caption is wanted, or none.

    Raises:
        UsageError: also for a file with several captions.
    """
    if value is None:
        return None
    captions = captions_of(value, key=key)
    if len(captions) > 1:
        raise UsageError(
            f"{value} has {len(captions):,} captions, and {key}= takes one",
            "keep one of them, or type it",
        )
    return captions[0]


def read_captions(path: Path) -> list[str]:
    """The lines of a text file that are not blank.

    UTF-8, or UTF-16 and UTF-32 with their byte order mark; lines end as any system ends them.

    Raises:
        UsageError: for a file that cannot be read, is no text, or holds no captions.
    """
    text = _decoded(_bytes(path), path)
    captions = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        caption = line.strip()
        if len(caption) > LONGEST:
            raise UsageError(
                f"line {number} of {path} has {len(caption):,} characters, which is no caption",
                "write one caption a line",
            )
        if caption:
            captions.append(caption)
    if not captions:
        raise UsageError(f"{path} has no captions", "write one caption a line")
    return captions


def report_truncation(
    tokenizer: Tokenizer, **captions: str | Sequence[str] | None
) -> dict[str, str]:
    """Say once how much of captions is not read, if they are too long.

    Args:
        tokenizer: of the model that reads them.
        captions: by the key that was typed.

    Returns:
        The tokens that are not read of each key's first caption, for an image's metadata.
    """
    cut = {}
    for key, given in captions.items():
        texts = [given or ""] if given is None or isinstance(given, str) else list(given)
        words = cut_in_words(texts, tokenizer)
        if words is not None:
            status(f"{key}: {words}")
        cut[f"{key}_tokens_cut"] = str(tokens_cut(texts[:1], tokenizer)[0])
    return cut


def report_truncation_by_scorer(guidance: Any, captions: Sequence[str]) -> None:
    """Say how many captions are too long for what guides, if it reads them."""
    image_text = getattr(getattr(guidance, "scorer", None), "image_text", None)
    if image_text is not None:
        cut = int(image_text.is_truncated(list(captions)).sum())
        if cut:
            status(f"guidance: {cut} of {len(captions)} captions are too long for it, and cut")


def report_truncation_in(
    model: GenerativeModel, data: TextImageData, tokenizer: Tokenizer
) -> None:
    """Say how many captions of the data are too long for a model, if it reads captions."""
    cut = data.cut(tokenizer)
    if cut.captions and model.reads_captions:
        status(str(cut))


def _is_there(path: Path) -> bool:
    """Whether there is anything of this name; what cannot be seen counts."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno not in ABSENT
    except ValueError:  # no name can have a null character
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise _unreadable(path, "a folder" if path.is_dir() else "no plain file")
        if status.st_size > LARGEST:
            raise _unreadable(path, f"{status.st_size:,} bytes are too many")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, str(error.strerror).lower()) from error


def _decoded(data: bytes, path: Path) -> str:
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _unreadable(path, f"line {line} is not {encoding.removesuffix('-sig')}") from error
    if "\0" in text:
        raise _unreadable(path, "it has null characters: no text, or UTF-16 without its mark")
    return text


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"cannot read the captions in {path} ({reason})", "name a text file in UTF-8"
    )
