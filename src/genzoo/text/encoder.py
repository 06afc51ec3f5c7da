"""Captions to features: the Transformer that all text-conditional families share.

As in GLIDE (arXiv 2112.10741, section 3): learned positions, a learned embedding in place of
padding (one a position), pre-norm blocks that attend to every position, padding included.

Shape letters: b batch, l tokens, d width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from genzoo.core.types import Condition
from genzoo.nn.transformer import Block


@dataclass(frozen=True)
class TextFeatures:
    """Features of captions.

    Attributes:
        tokens: a vector for every position.
        pooled: the mean over the caption's own tokens (over all positions if it is empty).
    """

    tokens: Float[Tensor, "b l d"]
    pooled: Float[Tensor, "b d"]

    @property
    def last(self) -> Float[Tensor, "b d"]:
        """The vector of the last position (mostly padding), which GLIDE uses for the caption."""
        return self.tokens[:, -1]


class TextEncoder(nn.Module):
    """Tokens to features.

    Args:
        vocab_size: size of the tokenizer's vocabulary.
        context: tokens per caption.
        width: of the features.
        layers: Transformer blocks.
        heads: of the attention.
        padding: whether padding has embeddings of its own; else its tokens count as any others.
        final_norm: whether the features are normalised at the end.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        padding: bool = True,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.position = nn.Parameter(torch.empty(context, width))
        self.padding = nn.Parameter(torch.empty(context, width)) if padding else None
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if final_norm else nn.Identity()
        for weight in (self.token_embedding.weight, self.position, self.padding):
            if weight is not None:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]) -> TextFeatures:
        """Features of a batch of captions; `mask` is True on a caption's own tokens."""
        x_bld = self.token_embedding(tokens) + self.position
        if self.padding is not None:
            x_bld = torch.where(mask[..., None], x_bld, self.padding.to(x_bld.dtype))
        for block in self.blocks:
            x_bld = block(x_bld)
        x_bld = self.norm(x_bld)
        counted = torch.where(mask.any(dim=1, keepdim=True), mask, True)[..., None]
        pooled = (x_bld * counted).sum(dim=1) / counted.sum(dim=1)
        return TextFeatures(x_bld, pooled)

    def pooled(self, cond: Condition) -> Float[Tensor, "b d"]:
        """One vector a caption, in float32."""
        features: TextFeatures = self(cond.tokens, cond.token_mask)
        return features.pooled.float()
