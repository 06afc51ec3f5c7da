"""The contrastive loss of images and captions, and ranks for retrieval.

Radford et al. (CLIP), arXiv 2103.00020, section 2.3. The batch is that of all processes.

Shape letters: b rows here, n rows of all processes, l tokens, k features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from genzoo.core.precision import exact
from genzoo.machine import distributed

SPLIT = (-7046029254386353131, -4658895280553007687, -7723592293110705685)  # as int64 has them


@dataclass(frozen=True)
class ContrastiveTerms:
    """The terms of the loss of each row.

    Attributes:
        image_to_text: cross-entropy of the own caption given the image, in nats.
        text_to_image: cross-entropy of the own image given the caption, in nats.
        accuracy: 1 where the own caption is the most likely, else 0.
    """

    image_to_text: Float[Tensor, " b"]
    text_to_image: Float[Tensor, " b"]
    accuracy: Float[Tensor, " b"]


def contrastive_loss(
    images: Float[Tensor, "b k"],
    texts: Float[Tensor, "b k"],
    tokens: Int[Tensor, "b l"],
    index: Int[Tensor, " b"],
    *,
    scale: Float[Tensor, ""],
    chunk: int | None = None,
) -> ContrastiveTerms:
    """Cross-entropy of each row against all rows of all processes.

    Args:
        images: unit vectors.
        texts: unit vectors.
        tokens: of the captions; another row with the same caption is no negative.
        index: of the images; another row with the same image, under whichever of its captions,
            is no negative either.
        scale: factor of the cosines, the inverse temperature.
        chunk: rows that are compared at once, with similarities recomputed in the backward
            pass, so that a large batch fits; None for all at once.
    """
    all_images, all_texts = all_gather_with_grad(images), all_gather_with_grad(texts)
    keys = torch.stack([_keys(tokens), index.long()])
    all_keys = _everyones(keys)
    own = torch.arange(len(images), device=images.device) + distributed.rank() * len(images)
    size = chunk or len(images)
    parts = []
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        twins = (keys[:, rows, None] == all_keys[:, None]).any(dim=0)
        twins[torch.arange(len(twins), device=twins.device), own[rows]] = False

        def compared(
            x: Tensor, y: Tensor, xs: Tensor, ys: Tensor, s: Tensor, twins: Tensor = twins,
            target: Tensor = own[rows],
        ) -> tuple[Tensor, ...]:  # fmt: skip
            # Cosines in bfloat16, times a scale of up to 100, would be off by up to half a nat.
            with exact(x.device):
                to_texts = (s * x @ ys.T).masked_fill(twins, -torch.inf)
                to_images = (s * y @ xs.T).masked_fill(twins, -torch.inf)
            return (
                F.cross_entropy(to_texts, target, reduction="none"),
                F.cross_entropy(to_images, target, reduction="none"),
                (to_texts.argmax(1) == target).float(),
            )

        given = (images[rows], texts[rows], all_images, all_texts, scale)
        if chunk is None:
            parts.append(compared(*given))
        else:
            parts.append(checkpoint(compared, *given, use_reentrant=False))
    return ContrastiveTerms(*(torch.cat(values) for values in zip(*parts, strict=True)))


def all_gather_with_grad(rows: Float[Tensor, "b k"]) -> Float[Tensor, "n k"]:
    """The rows of all processes in the order of their ranks, with gradients."""
    if distributed.world() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous()))


def retrieval_ranks(
    similarity: Float[Tensor, "b n"], right: Bool[Tensor, "b n"]
) -> Int[Tensor, " b"]:
    """The rank of the best correct candidate, from 0; ties count against it.

    Args:
        similarity: of each row to each candidate.
        right: the correct candidates; at least one a row.
    """
    best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    return ((similarity >= best) & ~right).sum(dim=1)


def positive_pairs(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, "n n"]:
    """Which rows have the same caption."""
    keys = _keys(tokens)
    return keys[:, None] == keys


def positive_captions(
    tokens: Int[Tensor, "m l"], row: Int[Tensor, " m"], *, images: int
) -> Bool[Tensor, "n m"]:
    """Which captions are right for which image: all its own, and those that say the same.

    Args:
        tokens: of the captions.
        row: the image of each, from 0.
        images: how many there are.
    """
    keys, order = _keys(tokens).sort()
    distinct = torch.zeros_like(row)  # a number a text
    distinct[order[1:]] = (keys[1:] != keys[:-1]).cumsum(0)
    said = torch.zeros(images * len(row), dtype=torch.bool, device=row.device)
    said[row * len(row) + distinct] = True
    return said.view(images, len(row))[:, distinct]


def _keys(tokens: Int[Tensor, "b l"]) -> Int[Tensor, " b"]:
    """A hash of each caption; different captions collide with probability 2^-64.

    Tokens are weighted by odd numbers, one a position: SplitMix64's (Steele et al. 2014).
    """
    odd = torch.arange(1, tokens.shape[1] + 1, device=tokens.device) * SPLIT[0]
    for shift, factor in ((30, SPLIT[1]), (27, SPLIT[2])):
        odd = (odd ^ (odd >> shift)) * factor
    return ((tokens + 1) * (odd | 1)).sum(dim=1)


def _everyones(keys: Int[Tensor, "2 b"]) -> Int[Tensor, "2 n"]:
    if distributed.world() == 1:
        return keys
    import torch.distributed as dist

    found = [torch.empty_like(keys) for _ in range(distributed.world())]
    dist.all_gather(found, keys)
    return torch.cat(found, dim=1)
