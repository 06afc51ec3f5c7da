"""How strongly a sample follows its caption.

A model that can be guided says in its `capabilities` by what; `guidance=` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance (Ho & Salimans, arXiv 2207.12598).

    Args:
        scale: s in u + s (c - u), where c is what a network says given the caption and u without
            it: 1 is off, 0 ignores the caption.
    """

    scale: float

    def __call__(self, with_caption: Tensor, without: Tensor) -> Tensor:
        """The guided one of two predictions of the same shape."""
        return without + self.scale * (with_caption - without)
