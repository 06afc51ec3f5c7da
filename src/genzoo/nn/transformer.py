"""The Transformer block for texts, patches and embeddings.

Shape letters: b batch, l positions, d width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class KVCache:
    """Keys and values of one block for the positions so far."""

    def __init__(self) -> None:
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def add(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append those of one position; returns all."""
        self.keys.append(k)
        self.values.append(v)
        return torch.cat(self.keys, dim=2), torch.cat(self.values, dim=2)


class Block(nn.Module):
    """Pre-norm self-attention and a two-layer perceptron, each beside a shortcut.

    Args:
        width: d.
        heads: of the attention.
        expansion: hidden width of the perceptron, in multiples of d.
        causal: whether a position attends to the earlier ones and itself alone.
    """

    def __init__(
        self, width: int, heads: int, *, expansion: int = 4, causal: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(
        self, x_bld: Float[Tensor, "b l d"], cache: KVCache | None = None
    ) -> Float[Tensor, "b l d"]:
        """All positions at once, or with a cache the next one alone."""
        b, length, d = x_bld.shape
        qkv = self.qkv(self.norm1(x_bld)).view(b, length, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.add(k, v)
        causal = self.causal and cache is None
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x_bld = x_bld + self.proj(attended.transpose(1, 2).reshape(b, length, d))
        mixed: Tensor = x_bld + self.mlp(self.norm2(x_bld))
        return mixed
