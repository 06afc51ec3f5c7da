"""The network of unCLIP's prior: from a caption to CLIP's embedding of an image.

Ramesh et al. (DALL-E 2), arXiv 2204.06125, section 2.2: a causal Transformer over the encoded
caption, CLIP's embedding of it, the time, the noisy embedding of an image and a last position
whose output is the predicted embedding.

Shape letters: b batch, l tokens, t of a token's vector, k of an embedding, d width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from genzoo.nn.transformer import Block
from genzoo.nn.unet import time_features


@dataclass(frozen=True)
class PriorCondition:
    """The condition of the prior: CLIP's features of a caption.

    Attributes:
        tokens: CLIP's vectors of its tokens.
        mask: True on the caption's own.
        embedding: CLIP's embedding of it, with unit variance.
        kept: 0 where the condition is dropped, for guidance; else 1.
    """

    tokens: Float[Tensor, "b l t"]
    mask: Bool[Tensor, "b l"]
    embedding: Float[Tensor, "b k"]
    kept: Float[Tensor, "b 1"]

    def unconditional(self) -> PriorCondition:
        """The same condition, dropped."""
        return PriorCondition(self.tokens, self.mask, self.embedding, torch.zeros_like(self.kept))

    def cat(self, more: PriorCondition) -> PriorCondition:
        """The rows of both, concatenated."""
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return PriorCondition(*(torch.cat(pair) for pair in pairs))


class PriorNetwork(nn.Module):
    """Predicts embeddings from noisy ones.

    Args:
        features: k.
        token: t.
        context: l.
        width: d.
        layers: of the Transformer.
        heads: of its attention.
    """

    def __init__(
        self, *, features: int, token: int, context: int, width: int, layers: int, heads: int
    ) -> None:
        super().__init__()
        self.width = width
        self.tokens = nn.Linear(token, width)
        self.caption = nn.Linear(features, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.noisy = nn.Linear(features, width)
        self.last = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(context + 4, width))
        self.blocks = nn.ModuleList(Block(width, heads, causal=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, features)

    def forward(
        self, z_t: Float[Tensor, "b k 1 1"], times: Shaped[Tensor, " b"], condition: PriorCondition
    ) -> Float[Tensor, "b k 1 1"]:
        """The predicted embedding.

        Args:
            z_t: noisy embeddings in the shape of an image of one pixel, for processes and
                samplers.
            times: steps of the process.
            condition: of the captions.
        """
        kept = condition.kept[:, None]
        shown = condition.mask[..., None] * kept
        x_bld = torch.cat(
            [
                self.tokens(condition.tokens) * shown,
                self.caption(condition.embedding)[:, None] * kept,
                self.time(time_features(times, self.width).to(z_t.dtype))[:, None],
                self.noisy(z_t.flatten(1))[:, None],
                self.last.expand(len(z_t), -1, -1),
            ],
            dim=1,
        )
        x_bld = x_bld + self.position
        for block in self.blocks:
            x_bld = block(x_bld)
        out: Tensor = self.out(self.norm(x_bld[:, -1]))
        return out[..., None, None]
