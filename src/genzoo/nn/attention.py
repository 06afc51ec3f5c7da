"""Attention of an image's positions to one another and to a text.

Shape letters: b batch, c channels, h height, w width, n positions (h w), l tokens, d text width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionBlock(nn.Module):
    """Positions attend to all positions and, before them, to the tokens of a text.

    One softmax runs over both, so that text and image compete (GLIDE, arXiv 2112.10741, section
    3.1). The tokens' keys and values come from a layer of their own.

    Args:
        channels: of the map, a multiple of `groups` and of `heads`.
        heads: of the attention.
        context: width of the text's features, 0 for no text.
        groups: of the normalisation.
    """

    def __init__(self, channels: int, *, heads: int, context: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.context_kv = nn.Linear(context, 2 * channels) if context else None
        self.proj = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(
        self, x: Float[Tensor, "b c h w"], context: Float[Tensor, "b l d"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The map after attention."""
        b, c, h, w = x.shape
        positions = self.norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c)
        q, k, v = self._split(self.qkv(positions), 3)
        if self.context_kv is not None and context is not None:
            text_k, text_v = self._split(self.context_kv(context), 2)
            k, v = torch.cat([text_k, k], dim=2), torch.cat([text_v, v], dim=2)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        changed: Tensor = x + self.proj(seen).view(b, h, w, c).permute(0, 3, 1, 2)
        return changed

    def _split(self, features: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Queries, keys, values; each head's lie side by side. (b, heads, n, c / heads) each."""
        by_head = features.unflatten(2, (self.heads, parts, -1))
        split: tuple[Tensor, ...] = by_head.permute(3, 0, 2, 1, 4).unbind(0)
        return split
