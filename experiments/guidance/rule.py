"""When claim 5 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.lab.findings import Answer, Verdict

FREE, HEAD, CLIP = "classifier_free", "class_head", "clip"
WORDS = {FREE: "classifier-free", HEAD: "class-head", CLIP: "CLIP"}

PRECISION = 0.02  # of precision: smaller differences count as none
SHARE = 0.05  # of the Fréchet distance and of the Inception Score: the same
COMMON = 0.05  # of recall that two curves must share to be compared
PLACES = 5  # recalls at which they are, evenly spread over what they share
GAIN = 0.02  # of precision, that classifier-free guidance must win to be said to guide
KNOWS = 0.5  # share of clean held-out images that classifier and CLIP each must tell

Standing = Literal["holds", "loses", "open"]


@dataclass(frozen=True)
class Point:
    """One mode at one scale, sampled with one seed.

    Attributes:
        scale: of the guidance.
        precision: of its samples.
        recall: the measure of their diversity.
        distance: Fréchet distance.
        score: Inception Score.
    """

    scale: float
    precision: float
    recall: float
    distance: float
    score: float


Curve = Sequence[Point]  # ascending in scale; the first point is without guidance


@dataclass(frozen=True)
class Lead:
    """The lead of classifier-free guidance over another at the same recall, a number a seed.

    Attributes:
        precision: more of it.
        distance: less of it, as a share of the other's.
        score: more of it, as a share of the other's.
    """

    precision: Sequence[float]
    distance: Sequence[float]
    score: Sequence[float]

    @property
    def standings(self) -> dict[str, Standing]:
        """By metric."""
        return {
            "precision": standing(self.precision, PRECISION),
            "Fréchet distance": standing(self.distance, SHARE),
            "Inception Score": standing(self.score, SHARE),
        }

    @property
    def standing(self) -> Standing:
        """Over all three: a loss counts unless another metric is won."""
        found = self.standings.values()
        if all(one == "holds" for one in found):
            return "holds"
        won = any(
            min(leads) > margin
            for leads, margin in (
                (self.precision, PRECISION),
                (self.distance, SHARE),
                (self.score, SHARE),
            )
        )
        return "loses" if "loses" in found and not won else "open"

    def __str__(self) -> str:
        precision, distance, score = map(
            statistics.fmean, (self.precision, self.distance, self.score)
        )
        return (
            f"precision {precision:+.3f}, Fréchet distance {-distance:+.1%}, "
            f"Inception Score {score:+.1%}"
        )


@dataclass(frozen=True)
class Learned:
    """The accuracy of the second models; bad ones would make the claim trivial.

    Attributes:
        classifier: share of clean held-out images whose class it tells.
        clip: share of them whose caption it finds likeliest.
    """

    classifier: float
    clip: float

    @property
    def enough(self) -> bool:
        """To be compared with."""
        return min(self.classifier, self.clip) >= KNOWS


def verdict(seeds: Sequence[Mapping[str, Curve]], learned: Learned) -> Verdict:
    """Whether classifier-free guidance is as good as either other at the same recall.

    Args:
        seeds: curves by mode, for each seed of the sampling.
        learned: the accuracy of the second models.
    """
    leads = {other: lead(seeds, other) for other in (CLIP, HEAD)}
    parts = [
        f"against {WORDS[other]} guidance {found}"
        if found is not None
        else f"{WORDS[other]} guidance reaches too few of the same recalls to compare"
        for other, found in leads.items()
    ]
    comparisons = "; ".join(parts)
    because = f"Classifier-free guidance at the same recall, mean over seeds: {comparisons}."
    if not guides(seeds):
        because += " It did not raise precision, so that nothing was traded."
    if not learned.enough:
        because += (
            f" The second models are too weak to compare with: the classifier is right for "
            f"{learned.classifier:.0%} of clean images, CLIP for {learned.clip:.0%}."
        )
    enough = learned.enough and guides(seeds)
    standings = {other: found.standing if found else "open" for other, found in leads.items()}
    return Verdict(_answer(standings) if enough else "undecided", because)


def guides(seeds: Sequence[Mapping[str, Curve]]) -> bool:
    """Whether classifier-free guidance raised precision with every seed."""
    return all(
        max(point.precision for point in curves[FREE]) >= curves[FREE][0].precision + GAIN
        for curves in seeds
    )


def lead(seeds: Sequence[Mapping[str, Curve]], other: str) -> Lead | None:
    """Of classifier-free guidance over another; None where they share too few recalls."""
    found = [_lead(curves[FREE], curves[other]) for curves in seeds]
    known = [leads for leads in found if leads is not None]
    if not known or len(known) < len(found):
        return None
    precision, distance, score = zip(*known, strict=True)
    return Lead(precision, distance, score)


def standing(leads: Sequence[float], margin: float) -> Standing:
    """Of one metric: seeds that disagree leave it open, so that noise supports nothing."""
    if min(leads) >= -margin:
        return "holds"
    return "loses" if max(leads) < -margin else "open"


def common(one: Curve, other: Curve) -> list[float]:
    """Recalls that both curves reach; none where they share too little."""
    low = max(min(point.recall for point in curve) for curve in (one, other))
    high = min(max(point.recall for point in curve) for curve in (one, other))
    if high - low < COMMON:
        return []
    return [low + (high - low) * (k + 0.5) / PLACES for k in range(PLACES)]


def at(curve: Curve, recall: float, value: Callable[[Point], float]) -> list[float]:
    """The values where the curve passes this recall, between its points along straight lines.

    It may do so several times: mild guidance can raise recall before more of it lowers it.
    """
    found = []
    for k, here in enumerate(curve):
        if here.recall == recall:
            found.append(value(here))
        if k + 1 < len(curve):
            there = curve[k + 1]
            if min(here.recall, there.recall) < recall < max(here.recall, there.recall):
                share = (recall - here.recall) / (there.recall - here.recall)
                found.append(value(here) + share * (value(there) - value(here)))
    return found


def _lead(free: Curve, other: Curve) -> tuple[float, float, float] | None:
    """Means over the common recalls; of several passings each curve's best counts."""
    recalls = common(free, other)
    if not recalls:
        return None
    leads = []
    for recall in recalls:
        precision, theirs = (max(at(c, recall, lambda p: p.precision)) for c in (free, other))
        distance, far = (min(at(c, recall, lambda p: p.distance)) for c in (free, other))
        score, level = (max(at(c, recall, lambda p: p.score)) for c in (free, other))
        leads.append((precision - theirs, (far - distance) / far, (score - level) / level))
    precision, distance, score = (statistics.fmean(column) for column in zip(*leads, strict=True))
    return precision, distance, score


def _answer(standings: Mapping[str, Standing]) -> Answer:
    if all(one == "holds" for one in standings.values()):
        return "supported"
    return "not supported" if standings[CLIP] == "loses" else "undecided"
