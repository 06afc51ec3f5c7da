"""Philox 4x32-10 against what its authors published, and torch's kernel against ours."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import config
from torch._subclasses.fake_tensor import FakeTensorMode

from genzoo.core import philox
from genzoo.core.philox import keys, places, words_

ONES = 2**32 - 1
# The known answers of Random123: counter, key, words.
KNOWN = (
    ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (" ".join(["ffffffff"] * 4), "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
)
needs_kernel = pytest.mark.skipif(not philox.KERNEL, reason="this torch has no Philox kernel")


def numbers(text: str) -> list[torch.Tensor]:
    return [torch.tensor(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_published_answers(counter: str, key: str, words: str) -> None:
    c0, c1, c2, c3 = numbers(counter)
    k0, k1 = numbers(key)
    found = philox.philox((c0, c1, c2, c3), (k0, k1))
    assert [f"{int(word):08x}" for word in found] == words.split()


@pytest.mark.parametrize("rounds", [9, 11])
def test_another_number_of_rounds_does_not_give_them(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(philox, "ROUNDS", rounds)
    with pytest.raises(AssertionError):
        test_published_answers(*KNOWN[0])


def at_extremes() -> torch.Tensor:
    edges = torch.tensor([0, 1, 2**31, 2**32 - 2, 2**62 + 12345, 2**63 - 1, -(2**63), -2])
    return torch.cartesian_prod(edges, edges)


@needs_kernel
@pytest.mark.parametrize("count", [1, 2, 4, 7, 64, 1001])
def test_torchs_kernel_and_ours_give_the_same_words(count: int) -> None:
    at = at_extremes()
    fast, plain = torch.empty(2, len(at), count, dtype=torch.int32)
    words_(fast, at)
    words_(plain, at, kernel=False)
    assert torch.equal(fast, plain)


def test_a_kernel_with_other_words_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert philox._kernel_is_right() == philox.KERNEL
    monkeypatch.setattr(philox, "ROUNDS", 9)
    assert not philox._kernel_is_right()


@needs_kernel
@pytest.mark.parametrize("right", [True, False])
def test_the_words_of_a_gpus_kernel_are_looked_at_once(
    right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(philox, "_kernel_is_right", lambda kind: (asked.append(kind), right)[1])
    philox._checked.cache_clear()
    try:
        assert [philox._has_kernel("cuda", fake=False) for _ in range(3)] == [right] * 3
    finally:
        philox._checked.cache_clear()
    assert asked == ["cuda"]
    assert philox._has_kernel("cuda", fake=True)  # has no words to look at
    assert philox._has_kernel("cpu", fake=False)  # looked at on import
    assert asked == ["cuda"]


def test_where_words_cannot_be_looked_at_the_operations_are_used() -> None:
    with FakeTensorMode():  # as when genzoo is imported in one
        assert not philox._kernel_is_right()


def test_words_follow_one_another_by_counters() -> None:
    at = torch.tensor([[77, 2**32 - 3]])
    run = words_(torch.empty(1, 24, dtype=torch.int32), at, kernel=False)
    for k in range(6):
        later = torch.tensor([[77, 2**32 - 3 + k]])
        one = words_(torch.empty(1, 4, dtype=torch.int32), later, kernel=False)
        assert torch.equal(one, run[:, 4 * k : 4 * k + 4])
    first = torch.tensor([6627, 0])  # a counter without upper words, as `philox` takes it
    zero = first.new_zeros(())
    c = philox.philox((first[0], zero, zero, zero), (zero + 5, zero + 9))
    at = places(5 + (9 << 32), 6627, like=first[:1])
    found = words_(torch.empty(1, 4, dtype=torch.int32), at)[0].to(torch.int64) & ONES
    assert found.tolist() == [int(word) for word in c]


def test_keys_are_the_first_two_words_lower_one_first() -> None:
    at = torch.tensor([[0, 0]])
    assert keys(at).tolist() == [0xE169C58D6627E8D5 - 2**64]


def test_the_drawing_of_words_compiles_as_one_graph() -> None:
    def draw(at: torch.Tensor) -> torch.Tensor:
        return words_(at.new_empty(len(at), 40, dtype=torch.int32), at, kernel=False)

    config.update("jaxtyping_disable", True)  # the checks of shapes are no part of the graph
    try:
        compiled = torch.compile(draw, backend="eager", fullgraph=True)
        assert torch.equal(compiled(at_extremes()), draw(at_extremes()))
    finally:
        config.update("jaxtyping_disable", False)
