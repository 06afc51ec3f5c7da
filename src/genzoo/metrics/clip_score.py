"""CLIP score: the similarity of images and captions in a CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torchmetrics import Metric

from genzoo.metrics.interval import of_mean
from genzoo.metrics.suite import MetricValue, in_order

NAME = "clip_score"
Similarity = Callable[[UInt8[Tensor, "b 3 h w"], Sequence[str]], Float[Tensor, " b"]]


class CLIPScore(Metric):
    """100 max(cos, 0) of image and caption, on average (Hessel et al., arXiv 2104.08718).

    Without that paper's factor of 2.5, as GLIDE's and most later figures have it. What it is worth
    depends on the CLIP alone: its name and weights belong into the stamp.

    Args:
        similarity: the cosines of 8-bit images and captions.
        cut: which captions are too long to be read whole; they are read as far as they go, and
            their share is reported.
        **kwargs: torchmetrics' own, such as `dist_sync_fn`.
    """

    full_state_update = False
    scores: list[Tensor]
    long: list[Tensor]
    index: list[Tensor]

    def __init__(
        self,
        similarity: Similarity,
        is_truncated: Callable[[Sequence[str]], Bool[Tensor, " b"]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.similarity, self.is_truncated = similarity, is_truncated
        for name in ("scores", "long", "index"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        captions: Sequence[str],
        index: Int[Tensor, " b"],
    ) -> None:
        """Add images and their captions, numbered `index`.

        A rank that has none at all must still call this once, with none.
        """
        if len(images):
            self.scores.append(100 * self.similarity(images, captions).clamp(min=0).double().cpu())
            self.long.append(self.is_truncated(captions).double())
        else:
            self.scores.append(torch.empty(0, dtype=torch.float64))
            self.long.append(torch.empty(0, dtype=torch.float64))
        self.index.append(index.detach().cpu().long())

    def compute(self) -> dict[str, MetricValue]:
        """The mean over all ranks' images, by name; each counts once."""
        scores = in_order(self.scores, self.index)
        known = of_mean(scores.tolist()) or (None, None)
        return {NAME: MetricValue(float(scores.mean()), None, "higher", *known)}

    def cut_share(self) -> float:
        """The share of captions that were too long, in [0, 1]."""
        return float(in_order(self.long, self.index).mean())
