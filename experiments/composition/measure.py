"""Pictures drawn for captions of one split, and what they show of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.composition.rule import Shares
from experiments.lab.trained import BATCH, Trained
from genzoo.guidance import ClassifierFree
from genzoo.metrics.captions import NAME, CaptionAccuracy
from genzoo.tasks.pictures import condition_of, draw

ATTRIBUTES = ("shape", "colour", "size", "position")


@dataclass(frozen=True)
class Drawn:
    """Pictures and verdicts on them.

    Attributes:
        captions: that they were drawn for.
        pictures: 8 bit.
        own: share of captions that a picture fulfils, by part.
        shuffled: the same for each other's captions.
    """

    captions: tuple[str, ...]
    pictures: Tensor
    own: dict[str, float]
    shuffled: dict[str, float]

    @property
    def shares(self) -> Shares:
        """Of the four attributes, each counted alike."""
        return Shares(_mean(self.own), _mean(self.shuffled))


def drawn(trained: Trained, split: str, *, count: int, scale: float) -> Drawn:
    """What the model draws for captions of a split."""
    indices = trained.data.spread(split, count).tolist()
    parts = []
    for start in range(0, len(indices), BATCH):
        own = indices[start : start + BATCH]
        cond = condition_of(trained.model, trained.data, own, trained.tokenizer)
        parts.append(
            draw(
                trained.model,
                cond,
                trained.data.shape,
                seed=int(trained.cfg.seed),
                indices=own,
                device=trained.device,
                guidance=ClassifierFree(scale),
            )
        )
    return judged(trained, indices, torch.cat(parts))


def real(trained: Trained, split: str, *, count: int) -> Drawn:
    """The data's own pictures of a split: what the judge makes of perfect ones."""
    indices = trained.data.spread(split, count).tolist()
    return judged(trained, indices, trained.data.images(indices))


def judged(trained: Trained, indices: list[int], pictures: Tensor) -> Drawn:
    """Pictures held against their captions and against each other's."""
    facts = trained.data.facts(indices)
    half = len(facts) // 2
    others = facts[half:] + facts[:half]
    return Drawn(
        tuple(trained.data.captions[i] for i in indices),
        pictures,
        _verdicts(trained, pictures, facts, others),
        _verdicts(trained, pictures, others, facts),
    )


def _verdicts(trained: Trained, pictures: Tensor, facts: Any, others: Any) -> dict[str, float]:
    judge = trained.data.judge
    assert judge is not None
    accuracy = CaptionAccuracy(judge.judge, judge.judged)
    accuracy.update(pictures, facts, others)
    return {
        name.removeprefix(f"{NAME}/"): value.value for name, value in accuracy.compute().items()
    }


def _mean(shares: dict[str, float]) -> float:
    known = [shares[name] for name in ATTRIBUTES if name in shares]
    return sum(known) / len(known)
