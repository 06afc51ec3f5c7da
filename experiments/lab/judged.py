"""Pictures of drawn scenes held against captions, by the data's own judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from experiments.lab.trained import LoadedModel
from genzoo.metrics.captions import NAME, CaptionAccuracy

ATTRIBUTES = ("shape", "colour", "size", "position")
Facts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Judged:
    """Shares of captions that pictures fulfil, by part.

    Attributes:
        own: of their own captions.
        shuffled: of each other's: what a model reaches that does not read.
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


def judge(trained: LoadedModel, pictures: Tensor, facts: Facts) -> Judged:
    """8-bit pictures against what their captions say, and against each other's captions."""
    half = len(facts) // 2
    others = [*facts[half:], *facts[:half]]
    return Judged(
        _verdicts(trained, pictures, facts, others), _verdicts(trained, pictures, others, facts)
    )


def stamp(trained: LoadedModel, pictures: int, *, drawn: bool = True) -> dict[str, Any]:
    """How so many judged pictures came about; the data's own were not drawn by the model."""
    return {
        "pictures": pictures,
        "judge": trained.data.name,
        "sampler": str(trained.model.sampler) if drawn else None,
        "seed": int(trained.cfg.seed),
        "data": trained.data.name,
        "data_fingerprint": trained.data.fingerprint,
        "image_size": trained.data.image_size,
        "ema": True,
    }


def _verdicts(
    trained: LoadedModel, pictures: Tensor, facts: Facts, others: Facts
) -> dict[str, float]:
    judge = trained.data.ground_truth
    assert judge is not None
    accuracy = CaptionAccuracy(judge.score_caption, judge.caption_parts)
    accuracy.update(pictures, facts, others)
    return {
        name.removeprefix(f"{NAME}/"): value.value for name, value in accuracy.compute().items()
    }


def _mean(shares: Mapping[str, float]) -> float:
    known = [shares[name] for name in ATTRIBUTES if name in shares]
    return sum(known) / len(known)
