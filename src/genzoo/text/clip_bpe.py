"""CLIP's tokenizer, as the released CLIPs read captions (arXiv 2103.00020, section 2.4).

Text is repaired (ftfy), HTML entities are decoded, and it is lower-cased and split into words,
digits and runs of punctuation; pairs of bytes are merged within a piece, whose last byte is a
symbol of its own.
"""

from __future__ import annotations

import functools
import gzip
import html
import importlib.util
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from genzoo.core.errors import GenzooError, UsageError

if TYPE_CHECKING:
    import tokenizers

KIND = "CLIP byte-level BPE, lower case, 1"
START, END = "<|startoftext|>", "<|endoftext|>"
LAST = "</w>"  # marks the last byte of a piece
MERGES = 48_894  # of the published file's pairs, so many belong to the vocabulary
PADDING = 0  # a number that stands for a text's token too: only the mask tells them apart
PIECE = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|"
    r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
REMEMBERED = 100_000  # pieces whose tokens are kept
NEEDED = ("ftfy", "regex")  # the extra `clip`


class CLIPTokenizer:
    """Byte-level byte-pair encoding with a start token and an end token.

    The names of these two tokens are recognised inside a text too, as by the reference.

    Args:
        merges: pairs of tokens, the first to be joined first.
        context: tokens per text, those at its ends and padding included.

    Raises:
        UsageError: where there is no room for both ends, or a package is missing.
    """

    def __init__(self, merges: Sequence[tuple[str, str]], *, context: int) -> None:
        if context < 2:
            raise UsageError(
                f"CLIP's context={context} has no room for both ends", "give 2 or more"
            )
        check_packages()
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        # Bytes are written as letters, and numbered in the order of these.
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        names = [*letters, *(letter + LAST for letter in letters)]
        names += [a + b for a, b in merges] + [START, END]
        self.context = context
        self._merges = list(merges)
        self._numbers = {name: k for k, name in enumerate(names)}
        self.vocab_size = len(names)
        self.start, self.end = self._numbers[START], self._numbers[END]
        self._pairs: tokenizers.Tokenizer = Tokenizer(
            models.BPE(vocab=self._numbers, merges=self._merges, end_of_word_suffix=LAST)
        )
        self._pairs.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=False
        )
        self._bytes = decoders.ByteLevel()
        self._names = names
        self._numbers_of = functools.lru_cache(maxsize=REMEMBERED)(self._piece)

    @classmethod
    def from_file(cls, merges: Path, *, context: int) -> CLIPTokenizer:
        """Read `bpe_simple_vocab_16e6.txt`, as it is or compressed with gzip.

        Raises:
            GenzooError: where it is missing or something else.
            UsageError: where a package is missing.
        """
        try:
            data = merges.read_bytes()
            text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
            lines = text.split("\n")[1:]  # the first one names the version
            pairs = [tuple(line.split()) for line in itertools.islice(filter(None, lines), MERGES)]
            found = [(a, b) for a, b in pairs]
            if not found:
                raise ValueError("no pairs")
        except (OSError, ValueError, EOFError) as error:
            raise GenzooError(
                f"the vocabulary in {merges} cannot be read ({error})",
                "give bpe_simple_vocab_16e6.txt.gz of openai/CLIP",
            ) from error
        try:
            return cls(found, context=context)
        except UsageError:
            raise
        except Exception as error:  # the package raises bare Exceptions
            raise GenzooError(
                f"the pairs in {merges} do not build on one another ({error})",
                "give bpe_simple_vocab_16e6.txt.gz of openai/CLIP",
            ) from error

    @classmethod
    def from_json(cls, text: str) -> CLIPTokenizer:
        """The tokenizer that `to_json` described."""
        content = json.loads(text)
        return cls([(a, b) for a, b in content["merges"]], context=content["context"])

    def to_json(self) -> str:
        """Everything needed to build the same tokenizer again, as text."""
        content = {"kind": KIND, "context": self.context, "merges": self._merges}
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    def encode(self, texts: Sequence[str]) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
        """Token numbers and mask of shape (b, context).

        A text's tokens, cut to two less than the context, stand between the two ends; then come
        zeros. The mask is True from the first end to the last.
        """
        tokens = np.full((len(texts), self.context), PADDING, dtype=np.int64)
        mask = np.zeros((len(texts), self.context), dtype=np.bool_)
        for k, text in enumerate(texts):
            row = [self.start, *itertools.islice(self._row(text), self.context - 2), self.end]
            tokens[k, : len(row)] = row
            mask[k, : len(row)] = True
        return torch.from_numpy(tokens), torch.from_numpy(mask)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, both ends included, before it is truncated or padded."""
        return [2 + sum(1 for _ in self._row(text)) for text in texts]

    def decode(self, tokens: Int[Tensor, "b l"]) -> list[str]:
        """The texts in lower case without ends and padding, with a space after every piece."""
        return ["".join(self._text(self._inside(row))) for row in tokens.tolist()]

    def _row(self, text: str) -> Iterator[int]:
        for piece in _pieces(text):
            yield from self._numbers_of(piece)

    def _piece(self, piece: str) -> list[int]:
        if piece in (START, END):
            return [self._numbers[piece]]
        return self._pairs.encode(piece, add_special_tokens=False).ids

    def _inside(self, row: list[int]) -> list[int]:
        """Without the start token, the end token and padding."""
        begin = 1 if row[:1] == [self.start] else 0
        if self.end in row:
            return row[begin : len(row) - 1 - row[::-1].index(self.end)]
        return row[begin:]

    def _text(self, row: Sequence[int]) -> Iterator[str]:
        """One string a run of text or name of an end."""
        for named, run in itertools.groupby(row, lambda number: number in (self.start, self.end)):
            names = [self._names[number] for number in run]
            yield "".join(names) if named else self._bytes.decode(names).replace(LAST, " ")


def _pieces(text: str) -> list[str]:
    import ftfy
    import regex

    mended = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    plain = regex.sub(r"\s+", " ", mended).strip().lower()
    return _pattern().findall(plain)  # type: ignore[no-any-return]


@functools.cache
def _pattern() -> Any:
    import regex

    return regex.compile(PIECE, regex.IGNORECASE)


def check_packages() -> None:
    """Make sure that the optional packages are there.

    Raises:
        UsageError: says what to install.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"CLIP's tokenizer needs the package {' and '.join(missing)}",
            "pip install 'genzoo[clip]'",
        )
