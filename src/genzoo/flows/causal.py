"""A causal Transformer over tokens, with a cache of keys and values.

Shape letters: b batch, n tokens, c channels of a token, d width.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.nn.transformer import Block, KVCache


class CausalTransformer(nn.Module):
    """A vector for each position from the tokens before it and the condition.

    Args:
        tokens: n.
        channels: c of a token.
        width: d of the result.
        layers: blocks.
        heads: of the attention.
        expansion: of the perceptrons.
        features: of the condition, 0 for none.
    """

    def __init__(
        self,
        *,
        tokens: int,
        channels: int,
        width: int,
        layers: int,
        heads: int,
        expansion: int,
        features: int = 0,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.condition = nn.Linear(features, width) if features else None
        self.blocks = nn.ModuleList(
            Block(width, heads, expansion=expansion, causal=True) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x_bnc: Float[Tensor, "b n c"], cond: Float[Tensor, "b f"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """A vector for each position; the i-th depends on the tokens before i alone."""
        start = self.start.expand(len(x_bnc), 1, -1)
        h_bnd = torch.cat([start, self.embed(x_bnc[:, :-1])], dim=1) + self.position
        h_bnd = self._conditioned(h_bnd, cond)
        for block in self.blocks:
            h_bnd = block(h_bnd)
        out: Tensor = self.norm(h_bnd)
        return out

    def step(
        self,
        x_bc: Float[Tensor, "b c"] | None,
        cond: Float[Tensor, "b f"] | None,
        *,
        at: int,
        caches: list[KVCache],
        rows: int,
    ) -> Float[Tensor, "b d"]:
        """The vector of position `at` from the token before it and the cached ones.

        Args:
            x_bc: token `at` - 1, or None at the beginning.
            cond: features of the condition.
            at: the position.
            caches: one a block, with the positions before `at`.
            rows: b.
        """
        token = self.start.expand(rows, -1) if x_bc is None else self.embed(x_bc)
        h_bnd = self._conditioned((token + self.position[at])[:, None], cond)
        for block, cache in zip(self.blocks, caches, strict=True):
            h_bnd = block(h_bnd, cache)
        out: Tensor = self.norm(h_bnd)[:, 0]
        return out

    def _conditioned(self, h_bnd: Tensor, cond: Tensor | None) -> Tensor:
        if self.condition is None or cond is None:
            return h_bnd
        conditioned: Tensor = h_bnd + self.condition(cond)[:, None]
        return conditioned
