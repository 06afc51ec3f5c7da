"""Samples for the captions of one split, scored against them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from experiments.lab.caption_scores import CaptionScores, score_captions
from experiments.lab.trained import LoadedModel
from genzoo.diffusion.guidance import ClassifierFree


@dataclass(frozen=True)
class Samples:
    """Images and their scores.

    Attributes:
        captions: that they were sampled from.
        images: 8 bit.
        scores: against their own and against each other's captions.
    """

    captions: tuple[str, ...]
    images: Tensor
    scores: CaptionScores


def sample(trained: LoadedModel, split: str, *, count: int, scale: float) -> Samples:
    """Samples of the model for captions of a split."""
    indices = trained.data.spread(split, count).tolist()
    images = trained.sample(indices, seed=int(trained.cfg.seed), guidance=ClassifierFree(scale))
    return _scored(trained, indices, images)


def real(trained: LoadedModel, split: str, *, count: int) -> Samples:
    """The data's own images of a split: the scores of perfect samples."""
    indices = trained.data.spread(split, count).tolist()
    return _scored(trained, indices, trained.data.images(indices))


def _scored(trained: LoadedModel, indices: list[int], images: Tensor) -> Samples:
    captions = tuple(trained.data.captions[i] for i in indices)
    return Samples(
        captions, images, score_captions(trained, images, trained.data.caption_attributes(indices))
    )
