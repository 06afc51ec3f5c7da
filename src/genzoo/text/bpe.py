"""Byte-pair encoding trained on the captions at hand, with the package tokenizers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from genzoo.core.errors import GenzooError, UsageError

if TYPE_CHECKING:
    import tokenizers

# The package's threads gain nothing on short captions, and a process that has used them prints a
# warning at every fork of a data-loading worker.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

END = 0  # the end token: padding, and the whole of an empty caption
BYTES = 256  # tokens that any text needs, one for each value of a byte
KIND = "genzoo byte-level BPE 1"


class BPETokenizer:
    """Byte-level byte-pair encoding: every text can be encoded, and decoded unchanged.

    The end token has number 0 and is not part of the pair encoding, whose numbers start at 1: no
    text is ever encoded as the end token.

    Args:
        pairs: the trained encoding.
        vocab_size: number of embeddings; at least one more than the encoding's tokens.
        context: tokens per text, padding included.
    """

    def __init__(self, pairs: tokenizers.Tokenizer, *, vocab_size: int, context: int) -> None:
        _check_sizes(vocab_size, context)
        if pairs.get_vocab_size() >= vocab_size:
            raise ValueError(f"{pairs.get_vocab_size()} tokens do not fit below {vocab_size}")
        self._pairs = pairs
        self.vocab_size = vocab_size
        self.context = context

    @classmethod
    def train(cls, captions: Iterable[str], *, vocab_size: int, context: int) -> BPETokenizer:
        """Learn the pairs from captions; the same captions in any order give the same pairs.

        Args:
            captions: the training captions.
            vocab_size: upper bound of the tokens, the end token included; at least 257.
            context: tokens per text, padding included.

        Raises:
            UsageError: when the vocabulary cannot hold every byte, or there is no context.
        """
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        _check_sizes(vocab_size, context)
        pairs = Tokenizer(models.BPE())
        # The first word gets a leading space like all others, or "red heart" and "a red heart"
        # would have different tokens for red; decoding removes it.
        pairs.normalizer = normalizers.Prepend(" ")
        pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        pairs.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - 1,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
            show_progress=False,
        )
        pairs.train_from_iterator(captions, trainer)
        return cls(pairs, vocab_size=vocab_size, context=context)

    @classmethod
    def from_json(cls, text: str) -> BPETokenizer:
        """The tokenizer that `to_json` described.

        Raises:
            GenzooError: if the text is something else.
        """
        from tokenizers import Tokenizer

        try:
            content = json.loads(text)
            if content["kind"] != KIND:
                raise ValueError(f"kind {content['kind']!r}")
            pairs = Tokenizer.from_str(json.dumps(content["pairs"]))
            return cls(pairs, vocab_size=content["vocab_size"], context=content["context"])
        except Exception as error:  # the package raises bare Exceptions
            raise GenzooError(
                f"the stored tokenizer cannot be read ({error})",
                "use a checkpoint that this version of genzoo wrote",
            ) from error

    def to_json(self) -> str:
        """Everything needed to build the same tokenizer again, as text."""
        content = {
            "kind": KIND,
            "vocab_size": self.vocab_size,
            "context": self.context,
            "pairs": json.loads(self._pairs.to_str()),
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    def encode(self, texts: Sequence[str]) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
        """Token numbers and mask of shape (b, context), padded and truncated as in GLIDE.

        The text's tokens come first, truncated to the context; the end token fills the rest. The
        mask is True on the text alone (glide-text2im, arXiv 2112.10741).
        """
        rows = [[t + 1 for t in row] for row in self._rows(texts)]
        return padded(rows, context=self.context, end=END)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text before it is truncated or padded."""
        return [len(row) for row in self._rows(texts)]

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._pairs.encode(text, add_special_tokens=False).ids for text in texts]

    def decode(self, tokens: Int[Tensor, "b l"]) -> list[str]:
        """The texts; one truncated inside a character ends in the replacement character."""
        known = self._pairs.get_vocab_size()
        rows = [[t - 1 for t in row if END < t <= known] for row in tokens.tolist()]
        return [self._pairs.decode(row, skip_special_tokens=False) for row in rows]


def padded(
    rows: Sequence[Sequence[int]], *, context: int, end: int
) -> tuple[Int[Tensor, "b l"], Bool[Tensor, "b l"]]:
    """Numbers truncated to the context or padded with the end token, and the text's mask."""
    tokens = np.full((len(rows), context), end, dtype=np.int64)
    mask = np.zeros((len(rows), context), dtype=np.bool_)
    for k, row in enumerate(rows):
        kept = row[:context]
        tokens[k, : len(kept)] = kept
        mask[k, : len(kept)] = True
    return torch.from_numpy(tokens), torch.from_numpy(mask)


def _check_sizes(vocab_size: int, context: int) -> None:
    if vocab_size <= BYTES:
        raise UsageError(
            f"text.vocab_size={vocab_size} is too small for the {BYTES} bytes and the end token",
            f"give text.vocab_size={BYTES + 1} or more",
        )
    if context < 1:
        raise UsageError(f"text.context={context} leaves no room for text", "give 1 or more")
