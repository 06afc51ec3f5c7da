"""Whether a difference is one: by hand, against SciPy, and by simulation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping

import numpy as np
import pytest
from scipy import stats

from genzoo.metrics.difference import (
    NO_INTERVAL,
    NO_VARIATION,
    TRAINED_ONCE,
    Measured,
    compare,
    decide,
    holm,
    over_trainings,
)

DRAWS = 2000
# What chance adds to a true rate of 5 % in so many draws, with a probability of 2 %.
CHANCE = 2 * math.sqrt(0.05 * 0.95 / DRAWS)

Row = Mapping[str, Measured]
Rule = Callable[[Row], dict[str, str | None]]


def several(*values: float, first: int = 0, error: float | None = None) -> Measured:
    keys: dict[Hashable, float] = dict(enumerate(map(float, values), first))
    return Measured(keys, error)


def ours(row: Row) -> dict[str, str | None]:
    return dict(decide(row, better="lower").standings)


def overlapping_spreads(row: Row) -> dict[str, str | None]:
    """The rule of before: a gap above the sum of both standard deviations separates."""
    lead = min(row.values(), key=lambda one: one.mean)
    spread = {name: np.std(list(one.trainings.values()), ddof=1) for name, one in row.items()}
    (best,) = (spread[name] for name, one in row.items() if one is lead)
    close = {name: one.mean - lead.mean <= spread[name] + best for name, one in row.items()}
    alone = sum(close.values()) == 1
    return {
        name: ("best" if alone else "not separated") if near else None
        for name, near in close.items()
    }


def separated(
    rule: Rule, models: int, seeds: int, *, gap: float = 0.0, shared: bool = True
) -> float:
    """How often a rule separates any two of these models, the first of which is ahead by a gap."""
    numbers = np.random.default_rng(7).standard_normal((DRAWS, models, seeds))
    numbers[:, 0] -= gap
    found = 0
    for draw in numbers.tolist():
        first = [0 if shared else 100 * k for k in range(models)]
        row = {str(k): several(*draw[k], first=first[k]) for k in range(models)}
        found += None in rule(row).values()
    return found / DRAWS


@pytest.mark.parametrize("models", [2, 3, 5])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_equal_models_are_separated_in_at_most_five_per_cent(models: int, seeds: int) -> None:
    assert separated(ours, models, seeds) <= 0.05 + CHANCE


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_equal_models_of_other_seeds_are_not_separated_either(seeds: int) -> None:
    assert separated(ours, 2, seeds, shared=False) <= 0.05 + CHANCE


@pytest.mark.parametrize("shared", [True, False])
def test_a_gap_of_one_and_a_half_deviations_is_found_with_ten_seeds(shared: bool) -> None:
    assert separated(ours, 2, 10, gap=1.5, shared=shared) >= 0.8


def test_the_rule_of_before_fails_both() -> None:
    """Equal models of two seeds had a winner in 21 %; more seeds found a gap less often."""
    assert separated(overlapping_spreads, 2, 2) > 0.15
    found = [separated(overlapping_spreads, 2, seeds, gap=1.5) for seeds in (3, 20)]
    assert found == sorted(found, reverse=True)
    assert found[1] < 0.2


def test_pairs_with_the_best_alone_would_be_too_few_to_correct_for() -> None:
    """The null model of the family: the best is chosen by the data, so all pairs count."""

    def with_the_best_alone(row: Row) -> dict[str, str | None]:
        lead = min(row, key=lambda name: row[name].mean)
        others = [name for name in row if name != lead]
        ps = holm([compare(row[lead], row[name]).p for name in others])
        return {
            name: None if p is not None and p <= 0.05 else ""
            for name, p in zip(others, ps, strict=True)
        }

    assert separated(with_the_best_alone, 5, 10) > 0.05 + CHANCE


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_both_tests_are_scipys(seeds: int) -> None:
    a, b = np.random.default_rng(seeds).standard_normal((2, seeds)) * [[1.0], [3.0]]
    paired = compare(several(*a), several(*b))
    assert paired.p == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
    welch = compare(several(*a), several(*b, first=50))
    assert welch.p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)
    assert paired.basis == welch.basis == "trainings"
    low, high = over_trainings(a.tolist()) or (0.0, 0.0)
    expected = stats.t.interval(0.95, seeds - 1, a.mean(), stats.sem(a))
    assert (low, high) == pytest.approx(expected, rel=1e-9)


def test_shared_seeds_find_what_moves_together() -> None:
    """Pairing takes away what a seed does to both."""
    seed = [0.0, 10.0, 20.0, 30.0]
    a = several(*seed)
    b = several(*(value + gap for value, gap in zip(seed, (1.0, 1.1, 0.9, 1.0), strict=True)))
    assert ours({"a": a, "b": b}) == {"a": "best", "b": None}
    apart = Measured({k + 50: value for k, value in enumerate(b.trainings.values())})
    assert ours({"a": a, "b": apart}) == {"a": "not separated", "b": "not separated"}


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_trainings_made_once_are_compared_by_their_standard_errors() -> None:
    a, b = several(10.0, error=0.3), several(11.0, error=0.4)
    test = compare(a, b)
    assert test.basis == "samples"
    assert test.p == pytest.approx(2 * stats.norm.sf(2.0), rel=1e-9)
    decision = decide({"a": a, "b": b}, better="higher")
    assert dict(decision.standings) == {"a": None, "b": "best"}
    assert decision.bases == {"samples"}
    assert ours({"a": a, "b": several(10.1, error=0.4)})["a"] == "not separated"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"a": several(1.0), "b": several(9.0)}, NO_INTERVAL),
        ({"a": several(1.0, error=0.1), "b": several(9.0)}, NO_INTERVAL),
        ({"a": several(1.0, error=0.1), "b": several(9.0, error=math.nan)}, NO_INTERVAL),
        ({"a": several(1.0, error=0.1), "b": several(9.0, 9.1)}, TRAINED_ONCE),
        ({"a": several(1.0, 1.0), "b": several(9.0, 9.0)}, NO_VARIATION),
    ],
)
def test_without_a_test_there_is_no_winner(row: Row, reason: str) -> None:
    decision = decide(row, better="lower")
    assert set(decision.standings.values()) == {"not separated"}
    assert decision.reasons == (reason,)
    assert set(decision.p.values()) == {None}


def test_numbers_that_do_not_vary_vary_as_their_samples_do() -> None:
    """Recall is often 0 with every seed of one model, and 0.5 with every one of another."""
    row = {"a": several(0.5, 0.5, error=0.02), "b": several(0.0, 0.0, error=0.01)}
    assert dict(decide(row, better="higher").standings) == {"a": "best", "b": None}


@pytest.mark.parametrize("better", ["lower", "higher", "sideways"])
def test_the_direction_decides_and_nan_is_nobody(better: str) -> None:
    row = {"a": several(1.0, error=0.1), "b": several(2.0, error=0.1), "c": several(math.nan)}
    best = {"lower": "a", "higher": "b"}.get(better)
    decision = decide(row, better=better)
    assert [name for name, standing in decision.standings.items() if standing] == (
        [best] if best else []
    )
    assert set(decide({"a": row["a"]}, better=better).standings.values()) == {None}


def test_a_row_of_fifty_models_is_decided_at_once() -> None:
    numbers = np.random.default_rng(0).standard_normal((50, 5)).tolist()
    begin = time.perf_counter()
    decide({str(k): several(*values) for k, values in enumerate(numbers)}, better="lower")
    assert time.perf_counter() - begin < 2
