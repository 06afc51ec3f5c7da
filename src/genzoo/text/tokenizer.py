"""The interface of tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Int
from torch import Tensor


@runtime_checkable
class Tokenizer(Protocol):
    """From text to token numbers of a fixed count, and back."""

    @property
    def vocab_size(self) -> int:
        """Every token number is below this; the number of embeddings that a model needs."""

    @property
    def context(self) -> int:
        """Tokens per text, padding included."""

    def encode(
        self, texts: Sequence[str]
    ) -> tuple[Int[Tensor, "b {self.context}"], Bool[Tensor, "b {self.context}"]]:
        """Token numbers, and a mask that is True where a token belongs to the text.

        A text that is too long is truncated; a short one is padded with the end token. The empty
        text is padding alone (GLIDE, arXiv 2112.10741, drops captions by replacing them with it).
        """

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text before it is truncated or padded."""

    def decode(self, tokens: Int[Tensor, "b l"]) -> list[str]:
        """The texts, without padding."""

    def to_json(self) -> str:
        """Everything needed to build the same tokenizer again."""
