"""Scores of images of rendered scenes against captions, by the data's own ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from experiments.lab.trained import LoadedModel
from genzoo.metrics.captions import NAME, CaptionAccuracy

ATTRIBUTES = ("shape", "colour", "size", "position")
Attributes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CaptionScores:
    """Shares of captions that images agree with, by part.

    Attributes:
        own: of their own captions.
        shuffled: of each other's captions, the chance level of a model that ignores them.
    """

    own: dict[str, float]
    shuffled: dict[str, float]

    @property
    def right(self) -> float:
        """The mean over `ATTRIBUTES` for their own captions."""
        return _mean(self.own)

    @property
    def chance(self) -> float:
        """The same for each other's."""
        return _mean(self.shuffled)


def score_captions(trained: LoadedModel, images: Tensor, attributes: Attributes) -> CaptionScores:
    """Scores of 8-bit images against their own captions and against each other's."""
    half = len(attributes) // 2
    others = [*attributes[half:], *attributes[:half]]
    return CaptionScores(
        _shares(trained, images, attributes, others), _shares(trained, images, others, attributes)
    )


def stamp(trained: LoadedModel, images: int, *, sampled: bool = True) -> dict[str, Any]:
    """The stamp of scored images; `sampled` is False for the data's own."""
    return {
        "pictures": images,
        "judge": trained.data.name,
        "sampler": str(trained.model.sampler) if sampled else None,
        "seed": int(trained.cfg.seed),
        "data": trained.data.name,
        "data_fingerprint": trained.data.fingerprint,
        "image_size": trained.data.image_size,
        "ema": True,
    }


def _shares(
    trained: LoadedModel, images: Tensor, attributes: Attributes, others: Attributes
) -> dict[str, float]:
    truth = trained.data.ground_truth
    assert truth is not None
    accuracy = CaptionAccuracy(truth.score_caption, truth.caption_parts)
    accuracy.update(images, attributes, others)
    return {
        name.removeprefix(f"{NAME}/"): value.value for name, value in accuracy.compute().items()
    }


def _mean(shares: Mapping[str, float]) -> float:
    known = [shares[name] for name in ATTRIBUTES if name in shares]
    return sum(known) / len(known)
