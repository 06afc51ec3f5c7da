from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genzoo.metrics.golden_section import RATIO, golden_section


@given(st.floats(1, 8), st.integers(2, 14))
def test_the_valley_is_found_to_within_its_bound(lowest: float, trials: int) -> None:
    calls = 0

    def valley(x: float) -> float:
        nonlocal calls
        calls += 1
        return abs(x - lowest) ** 1.5

    tried = golden_section(valley, 1.0, 8.0, trials=trials)
    best = min(tried, key=tried.__getitem__)
    assert calls == len(tried) == trials
    assert all(1 < x < 8 for x in tried)
    assert abs(best - lowest) <= 7 * RATIO ** (trials - 1) + 1e-9


def test_it_closes_in_on_the_lowest_value_and_not_on_the_highest() -> None:
    tried = golden_section(lambda x: (x - 2) ** 2, 1.0, 8.0, trials=10)
    assert abs(list(tried)[-1] - 2) < 0.2
    upside_down = golden_section(lambda x: -((x - 2) ** 2), 1.0, 8.0, trials=10)
    assert abs(list(upside_down)[-1] - 8) < 0.2


@pytest.mark.parametrize(("low", "high", "trials"), [(1.0, 8.0, 1), (3.0, 3.0, 5), (4.0, 2.0, 5)])
def test_what_is_no_search_is_refused(low: float, high: float, trials: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        golden_section(abs, low, high, trials=trials)
