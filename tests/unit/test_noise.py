from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from genzoo.noise import Noise, split_seed


@given(st.integers(0, 2**63 - 1), st.text(max_size=8), st.text(max_size=8))
def test_seeds_of_different_names_differ(seed: int, a: str, b: str) -> None:
    assert 0 <= split_seed(seed, a) < 2**63
    assert (split_seed(seed, a) == split_seed(seed, b)) == (a == b)


def test_a_sample_depends_on_its_own_number_alone() -> None:
    together = Noise.of(3, [4, 5, 6]).normal(2, 2)
    alone = Noise.of(3, torch.tensor([5])).normal(2, 2)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(Noise.of(4, [5]).normal(2, 2), alone)


def test_streams_go_on_and_children_do_not_disturb_them() -> None:
    noise, same = Noise.of(0, [1, 2]), Noise.of(0, [1, 2])
    first = noise.normal(3)
    noise.child("mask").uniform(5)
    assert torch.equal(first, same.normal(3))
    assert torch.equal(noise.normal(3), same.normal(3))
    assert not torch.equal(noise.child("a").normal(3), noise.child("b").normal(3))


def test_numbers_have_the_distribution_they_should() -> None:
    noise = Noise.of(0, range(200))
    normal, uniform, whole = noise.normal(50), noise.uniform(50), noise.integers(7, 50)
    assert abs(float(normal.mean())) < 0.05
    assert abs(float(normal.std()) - 1) < 0.05
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 0.02
    assert set(whole.unique().tolist()) == set(range(7))
