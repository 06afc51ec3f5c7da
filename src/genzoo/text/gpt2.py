"""GLIDE's tokenizer: the vocabulary of GPT-2, on lower-cased text."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Bool, Int
from torch import Tensor

from genzoo.core.errors import GenzooError
from genzoo.text.bpe import padded

if TYPE_CHECKING:
    import tokenizers

KIND = "GPT-2 byte-level BPE, lower case, 1"
END_TEXT = "<|endoftext|>"


class GPT2Tokenizer:
    """Byte-level byte-pair encoding as the released GLIDE reads captions.

    Text is lower-cased first. Nothing in it is read as a special token. The end token pads.

    Args:
        vocabulary: the number of every token.
        merges: pairs of tokens, the first to be joined first.
        context: tokens per text, padding included.
    """

    def __init__(
        self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], *, context: int
    ) -> None:
        self.context = context
        self.vocab_size = len(vocabulary)
        self.end = vocabulary[END_TEXT]
        self._vocabulary, self._merges = dict(vocabulary), list(merges)
        self._pairs = _byte_pairs(self._vocabulary, self._merges)

    @classmethod
    def from_files(cls, vocabulary: Path, merges: Path, *, context: int) -> GPT2Tokenizer:
        """Read `encoder.json` and `vocab.bpe`, as they are or compressed with gzip.

        Raises:
            GenzooError: where one is missing or something else.
        """
        try:
            numbers = json.loads(_text(vocabulary))
            lines = _text(merges).split("\n")[1:]  # the first one names the version
            pairs = [tuple(line.split()) for line in lines if line]
            return cls(numbers, [(a, b) for a, b in pairs], context=context)
        except (OSError, ValueError, KeyError) as error:
            raise GenzooError(
                f"the vocabulary in {vocabulary} and {merges} cannot be read ({error})",
                "give encoder.json and vocab.bpe of GPT-2",
            ) from error

    @classmethod
    def from_json(cls, text: str) -> GPT2Tokenizer:
        """The tokenizer that `to_json` described."""
        content = json.loads(text)
        merges = [(a, b) for a, b in content["merges"]]
        return cls(content["vocabulary"], merges, context=content["context"])

    def to_json(self) -> str:
        """Everything needed to build the same tokenizer again, as text."""
        content = {
            "kind": KIND,
            "context": self.context,
            "vocabulary": self._vocabulary,
            "merges": self._merges,
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    def encode(self, texts: Sequence[str]) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
        """Token numbers and mask of shape (b, context), padded and truncated as in GLIDE."""
        return padded(self._rows(texts), context=self.context, end=self.end)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text before it is truncated or padded."""
        return [len(row) for row in self._rows(texts)]

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._pairs.encode(text.lower(), add_special_tokens=False).ids for text in texts]

    def decode(self, tokens: Int[Tensor, "b l"]) -> list[str]:
        """The texts, in lower case and without padding."""
        rows = [[t for t in row if t != self.end] for row in tokens.tolist()]
        return [self._pairs.decode(row, skip_special_tokens=False) for row in rows]


def _byte_pairs(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pairs = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    return pairs


def _text(file: Path) -> str:
    data = file.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
