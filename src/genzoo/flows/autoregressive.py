"""Autoregressive maps of patches: each is transformed given the ones before it.

Zhai et al., "Normalizing Flows are Capable Generative Models" (TarFlow, arXiv 2412.06329),
equations (4) to (7).

Shape letters: b batch, n tokens (patches), c channels of a token, h height, w width, d width of
the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.flows.causal import CausalTransformer
from genzoo.flows.transform import Features, Guided, Transform, bounded
from genzoo.nn.transformer import KVCache


class TokenAffine(nn.Module):
    """Some channels of a token are scaled and shifted, given the others and a context.

    Args:
        changed: which of the c channels change, a mask; the others are inputs of the network.
        context: d, width of the context.
        hidden: width of the hidden layer, 0 for a linear function of the context alone.
        bound: of the logarithm of the scale.
    """

    def __init__(self, changed: Tensor, *, context: int, hidden: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.register_buffer("changed", changed.nonzero()[:, 0])
        self.register_buffer("kept", (~changed).nonzero()[:, 0])
        self.register_buffer("order", torch.cat([self.changed, self.kept]).argsort())
        self.changed: Tensor
        self.kept: Tensor
        self.order: Tensor
        last = nn.Linear(hidden or context, 2 * len(self.changed))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = (
            nn.Sequential(nn.Linear(context + len(self.kept), hidden), nn.SiLU(), last)
            if hidden
            else last
        )

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """The image and the logarithms of the scales of the changed channels."""
        shift, log_scale = self._affine(x, context)
        changed = (x[..., self.changed] + shift) * log_scale.exp()
        return self._put(x, changed), log_scale

    def inverse(self, z: Tensor, context: Tensor, guided: Guided | None = None) -> Tensor:
        """The x with z = f(x, context); with guidance the context has twice as many rows."""
        shift, log_scale = self._affine(z, context, guided)
        return self._put(z, z[..., self.changed] * (-log_scale).exp() - shift)

    def _affine(
        self, x: Tensor, context: Tensor, guided: Guided | None = None
    ) -> tuple[Tensor, Tensor]:
        kept = x[..., self.kept]
        if guided is not None:
            kept = torch.cat([kept, kept])
        seen = torch.cat([context, kept], -1) if len(self.kept) else context
        parameters = self.net(seen) if guided is None else guided.mix(self.net(seen))
        shift, raw = parameters.chunk(2, dim=-1)
        return shift, bounded(raw, self.bound)

    def _put(self, x: Tensor, changed: Tensor) -> Tensor:
        if not len(self.kept):
            return changed
        return torch.cat([changed, x[..., self.kept]], dim=-1)[..., self.order]


class Autoregressive(Transform):
    """z_i = (x_i + t(x_<i)) exp(s(x_<i)) for the tokens i of an image, in one direction.

    Tokens are the positions of a map of c channels, row by row. With `couplings`, affine couplings
    inside each token follow, also conditioned on x_<i, so that a token's own numbers depend on one
    another.

    Args:
        channels: c.
        size: height and width of the maps; n = size ** 2.
        reverse: whether the last token comes first.
        couplings: affine couplings inside a token.
        hidden: width of their networks.
        bound: of the logarithm of every scale.
        transformer: the remaining arguments of the `CausalTransformer`.
    """

    def __init__(
        self,
        channels: int,
        *,
        size: int,
        reverse: bool,
        couplings: int,
        hidden: int,
        bound: float,
        transformer: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.size, self.reverse = size, reverse
        self.transformer = CausalTransformer(tokens=size**2, channels=channels, **transformer)
        width = transformer["width"]
        every, even = torch.ones(channels, dtype=torch.bool), torch.arange(channels) % 2 == 0
        self.affines = nn.ModuleList(
            [
                TokenAffine(every, context=width, hidden=0, bound=bound),
                *(
                    TokenAffine(
                        even if k % 2 else ~even, context=width, hidden=hidden, bound=bound
                    )
                    for k in range(couplings)
                ),
            ]
        )

    def forward(
        self, x: Float[Tensor, "b c h w"], cond: Features = None
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " b"]]:
        assert not isinstance(cond, Guided)
        t_bnc = self._tokens(x)
        context = self.transformer(t_bnc, cond)
        total = x.new_zeros(len(x))
        for affine in self.affines:
            t_bnc, log_scale = affine(t_bnc, context)
            total = total + log_scale.flatten(1).sum(1)
        return self._map(t_bnc), total

    def inverse(
        self, z: Float[Tensor, "b c h w"], cond: Features = None
    ) -> Float[Tensor, "b c h w"]:
        """Token by token; keys and values of the earlier ones are kept."""
        guided = cond if isinstance(cond, Guided) else None
        features = cond.both if isinstance(cond, Guided) else cond
        copies = 1 if guided is None else 2
        caches = [KVCache() for _ in self.transformer.blocks]
        tokens: list[Tensor] = []
        for at, token in enumerate(self._tokens(z).unbind(1)):
            before = tokens[-1].repeat(copies, 1) if tokens else None
            context = self.transformer.step(
                before, features, at=at, caches=caches, rows=copies * len(z)
            )
            for affine in reversed(self.affines):
                assert isinstance(affine, TokenAffine)
                token = affine.inverse(token, context, guided)
            tokens.append(token)
        return self._map(torch.stack(tokens, dim=1))

    def _tokens(self, x: Tensor) -> Tensor:
        t_bnc = x.flatten(2).mT
        return t_bnc.flip(1) if self.reverse else t_bnc

    def _map(self, t_bnc: Tensor) -> Tensor:
        t_bnc = t_bnc.flip(1) if self.reverse else t_bnc
        x: Tensor = t_bnc.mT.unflatten(2, (self.size, self.size))
        return x
