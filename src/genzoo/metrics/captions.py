"""How often a generated image shows what its caption says, where the data can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchmetrics import Metric

from genzoo.metrics.interval import wilson
from genzoo.metrics.suite import MetricValue

Attributes = Mapping[str, Any]
ScoreCaption = Callable[[np.ndarray, Attributes], dict[str, bool]]

NAME = "caption_accuracy"
ALL = "all"  # every part is right
SHUFFLED = "shuffled"  # every part of another image's caption is right


class CaptionAccuracy(Metric):
    """Shares of images that are right, by part, from one verdict a picture.

    The same images are also checked against each other's captions, for the level of a model that
    ignores captions.

    Args:
        score_caption: says which parts of a caption an image shows.
        parts: that it judges; a caption need not have them all.
        **kwargs: torchmetrics' own, such as `dist_sync_fn`.
    """

    full_state_update = False
    right: Tensor
    asked: Tensor

    def __init__(self, score_caption: ScoreCaption, parts: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score_caption = score_caption
        self.parts = (ALL, *parts, SHUFFLED)
        for name in ("right", "asked"):
            zeros = torch.zeros(len(self.parts), dtype=torch.long)
            self.add_state(name, default=zeros, dist_reduce_fx="sum")

    def update(
        self,
        images: UInt8[Tensor, "b 3 h w"],
        attributes: Sequence[Attributes],
        others: Sequence[Attributes],
    ) -> None:
        """Check images against captions.

        Args:
            images: 8 bit.
            attributes: of what each caption says.
            others: of another image's caption.
        """
        pixels = images.permute(0, 2, 3, 1).cpu().numpy()
        for image, own, other in zip(pixels, attributes, others, strict=True):
            verdict = self.score_caption(image, own)
            shuffled = all(self.score_caption(image, other).values())
            self._count({ALL: all(verdict.values()), **verdict, SHUFFLED: shuffled})

    def compute(self) -> dict[str, MetricValue]:
        """The share of right ones among the captions that have a part, in [0, 1], by name."""
        counts = zip(self.parts, self.right.tolist(), self.asked.tolist(), strict=True)
        return {
            f"{NAME}/{part}": MetricValue(right / asked, None, "higher", *wilson(right, asked))
            for part, right, asked in counts
            if asked
        }

    def _count(self, verdict: Mapping[str, bool]) -> None:
        for part, right in verdict.items():
            self.asked[self.parts.index(part)] += 1
            self.right[self.parts.index(part)] += right
