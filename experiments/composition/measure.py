"""Pictures drawn for captions of one split, and what they show of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from experiments.lab.judged import Judged, judge
from experiments.lab.trained import LoadedModel
from genzoo.diffusion.guidance import ClassifierFree


@dataclass(frozen=True)
class Drawn:
    """Pictures and verdicts on them.

    Attributes:
        captions: that they were drawn for.
        pictures: 8 bit.
        judged: what they show of these and of each other's captions.
    """

    captions: tuple[str, ...]
    pictures: Tensor
    judged: Judged


def drawn(trained: LoadedModel, split: str, *, count: int, scale: float) -> Drawn:
    """What the model draws for captions of a split."""
    indices = trained.data.spread(split, count).tolist()
    pictures = trained.drawn(indices, seed=int(trained.cfg.seed), guidance=ClassifierFree(scale))
    return _judged(trained, indices, pictures)


def real(trained: LoadedModel, split: str, *, count: int) -> Drawn:
    """The data's own pictures of a split: what the judge makes of perfect ones."""
    indices = trained.data.spread(split, count).tolist()
    return _judged(trained, indices, trained.data.images(indices))


def _judged(trained: LoadedModel, indices: list[int], pictures: Tensor) -> Drawn:
    captions = tuple(trained.data.captions[i] for i in indices)
    return Drawn(
        captions, pictures, judge(trained, pictures, trained.data.caption_attributes(indices))
    )
