"""Whether a difference between models is one; what the page, the studies and the benchmarks ask.

A model that was trained several times is a method, and is tested over its trainings: Student's t
over the differences where two models have the same seeds, Welch's otherwise (Welch 1947). Of a
model that was trained once only that training is known: two of them are compared by the standard
errors over their samples, and what is separated are these two trainings, never the methods.

The best of a row is chosen by the data, so that any two may turn out to be the best and the one
beside it: Holm's correction (1979) is over all pairs of a row. Over the pairs with the best alone
five equal models would be separated in far more than 5 % of the cases. Without a test there is no
winner.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

LEVEL = 0.05  # two-sided, over all pairs of a row

Standing = Literal["best", "not separated"]
Basis = Literal["trainings", "samples"]

NO_INTERVAL = "no interval recorded"
TRAINED_ONCE = "one of two was trained once, so that nothing is known of its next training"
NO_VARIATION = "the numbers do not vary, so that there is nothing to test them by"


@dataclass(frozen=True)
class Measured:
    """What is known of a model by one metric.

    Attributes:
        trainings: the number of each training, by its seed (or by a name that no other model's
            has where that is unknown). Samples of one training are one number.
        standard_error: of such a number over samples; None where none was recorded.
    """

    trainings: Mapping[Hashable, float]
    standard_error: float | None = None

    @property
    def mean(self) -> float:
        """Over trainings."""
        return math.fsum(self.trainings.values()) / len(self.trainings)


class Test(NamedTuple):
    """A test of two models.

    Attributes:
        p: two-sided; None where none is possible.
        basis: what it is over: ``trainings`` speak for methods, ``samples`` for two trainings.
        reason: why none is possible.
    """

    p: float | None
    basis: Basis | None
    reason: str | None = None

    @property
    def separated(self) -> bool:
        """Whether it found a difference."""
        return self.p is not None and self.p <= LEVEL


@dataclass(frozen=True)
class Decision:
    """Who of a row is ahead.

    Attributes:
        standings: ``best`` for the one that is separated from every other, ``not separated`` for
            the one with the best number and those not separated from it, None for the others.
        p: of the comparison with the best number, corrected; for that one the largest of these;
            None where there was no test.
        bases: what the tests that separated or did not were over.
        reasons: why there was no test, where there was none.
    """

    standings: Mapping[str, Standing | None]
    p: Mapping[str, float | None]
    bases: frozenset[Basis] = frozenset()
    reasons: tuple[str, ...] = ()


def decide(row: Mapping[str, Measured], *, better: str) -> Decision:
    """Who of a row is best, and who is not separated from the best.

    Args:
        row: the models by name.
        better: ``lower`` or ``higher``; by another direction nobody is ahead.
    """
    finite = {name: m for name, m in row.items() if m.trainings and math.isfinite(m.mean)}
    nobody: dict[str, Standing | None] = dict.fromkeys(row)
    if better not in ("lower", "higher") or len(finite) < 2:
        return Decision(nobody, dict.fromkeys(row))
    pick = min if better == "lower" else max
    means = {name: one.mean for name, one in finite.items()}
    lead = pick(means, key=means.__getitem__)
    against = {
        (a if b == lead else b): test
        for (a, b), test in pairwise(finite).items()
        if lead in (a, b)
    }
    return _decision(nobody, lead, against)


def pairwise(row: Mapping[str, Measured]) -> dict[tuple[str, str], Test]:
    """All pairs of a row, each once, with p corrected for their number."""
    pairs = list(itertools.combinations(row, 2))
    tests = [compare(row[a], row[b]) for a, b in pairs]
    corrected = holm([test.p for test in tests])
    return {
        pair: test._replace(p=p) for pair, test, p in zip(pairs, tests, corrected, strict=True)
    }


def _decision(
    nobody: Mapping[str, Standing | None], lead: str, against: Mapping[str, Test]
) -> Decision:
    standings, ps = dict(nobody), dict[str, float | None](dict.fromkeys(nobody))
    for name, test in against.items():
        ps[name] = test.p
        standings[name] = None if test.separated else "not separated"
    known = [test.p for test in against.values() if test.p is not None]
    ps[lead] = max(known) if len(known) == len(against) else None
    alone = all(standings[name] is None for name in against)
    standings[lead] = "best" if alone else "not separated"
    bases = frozenset(test.basis for test in against.values() if test.basis is not None)
    reasons = tuple(dict.fromkeys(t.reason for t in against.values() if t.reason is not None))
    return Decision(standings, ps, bases, reasons)


def compare(a: Measured, b: Measured) -> Test:
    """Two models: over trainings if both have several, over samples if both have one."""
    several = (len(a.trainings) > 1) + (len(b.trainings) > 1)
    if several == 1:
        return Test(None, None, TRAINED_ONCE)
    if not several:
        return _by_samples(a, b)
    return _paired(a, b) if a.trainings.keys() == b.trainings.keys() else _welch(a, b)


def _by_samples(a: Measured, b: Measured) -> Test:
    """A normal test: standard errors are over hundreds of samples."""
    errors = (a.standard_error, b.standard_error)
    if None in errors or not all(map(math.isfinite, errors)):  # type: ignore[arg-type]
        return Test(None, None, NO_INTERVAL)
    error = math.hypot(*errors)  # type: ignore[arg-type]
    if error == 0:
        return Test(None, None, NO_VARIATION)
    return Test(math.erfc(abs(a.mean - b.mean) / error / math.sqrt(2)), "samples")


def _paired(a: Measured, b: Measured) -> Test:
    gaps = [value - b.trainings[seed] for seed, value in a.trainings.items()]
    gap, variance = _moments(gaps)
    return _student(gap, variance or _sampling(a, b), float(len(gaps) - 1))


def _welch(a: Measured, b: Measured) -> Test:
    (mean_a, part_a), (mean_b, part_b) = (_moments(list(m.trainings.values())) for m in (a, b))
    variance = part_a + part_b
    # Satterthwaite's degrees of freedom.
    inverse = part_a**2 / (len(a.trainings) - 1) + part_b**2 / (len(b.trainings) - 1)
    df = variance**2 / inverse if inverse else 1.0
    return _student(mean_a - mean_b, variance or _sampling(a, b), df)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and its variance."""
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n


def _sampling(a: Measured, b: Measured) -> float:
    """The variance that samples alone give the difference: for numbers that do not vary at all."""
    parts = [(m.standard_error or 0.0) ** 2 / len(m.trainings) for m in (a, b)]
    return math.fsum(parts)


def _student(gap: float, variance: float, df: float) -> Test:
    if not variance > 0:
        return Test(None, None, NO_VARIATION)
    from scipy.special import stdtr  # as long to import as everything else here

    return Test(float(2 * stdtr(df, -abs(gap) / math.sqrt(variance))), "trainings")


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Values corrected for their number (Holm 1979), None for what was not tested.

    At least one of the true null hypotheses has a corrected value of at most p with a probability
    of at most p, whatever the tests have to do with one another.
    """
    order = sorted((p, k) for k, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, k) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[k] = largest
    return corrected


def over_trainings(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of a mean over trainings; None for fewer than two of them."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    from scipy.special import stdtrit

    mean, variance = _moments(values)
    half = float(stdtrit(len(values) - 1, 1 - LEVEL / 2)) * math.sqrt(variance)
    return mean - half, mean + half
