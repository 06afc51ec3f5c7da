"""Texts that exceed a model's context and are truncated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genzoo.text.tokenizer import Tokenizer

SHOWN = 24  # characters of a caption before the truncation


@dataclass(frozen=True)
class Cut:
    """How many of a data set's captions are too long.

    Attributes:
        captions: that are truncated, each counted as often as it is used.
        of: all captions.
        most: tokens that are not read of the longest.
        context: tokens that are read.
    """

    captions: int
    of: int
    most: int
    context: int

    @property
    def share(self) -> float:
        """Of the captions, from 0 to 1."""
        return self.captions / max(self.of, 1)

    def __str__(self) -> str:
        return (
            f"{self.captions:,} of {self.of:,} captions ({self.share:.2%}) are longer than the "
            f"{self.context} tokens that are read, and cut by up to {self.most}"
        )


def tokens_cut(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """How many tokens of each text lie beyond the context and are not read."""
    return [max(0, length - tokenizer.context) for length in tokenizer.lengths(texts)]


def cut_in_words(texts: Sequence[str], tokenizer: Tokenizer) -> str | None:
    """A message about texts that are too long, each counted once; None if there are none."""
    distinct = list(dict.fromkeys(texts))
    cut = tokens_cut(distinct, tokenizer)
    long = [text for text, beyond in zip(distinct, cut, strict=True) if beyond]
    if not long:
        return None
    if len(distinct) > 1:
        return (
            f"{len(long)} of {len(distinct)} captions are longer than the {tokenizer.context} "
            f"tokens that are read, and cut by up to {max(cut)}"
        )
    (read,) = tokenizer.decode(tokenizer.encode(long)[0])
    end = " ".join(read.split())[-SHOWN:]
    return (
        f"the caption has {max(cut) + tokenizer.context} tokens, and {tokenizer.context} are "
        f'read: it is cut after "...{end}"'
    )
