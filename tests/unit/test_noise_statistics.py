"""Whether the numbers are as random as they should be, and whether the checks would notice."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genzoo.core.noise import Noise

SAMPLES, NUMBERS = 64, 4096
SIGMAS = 4.5  # of what chance alone would give; 7e-6 a number looked at
STREAM = Noise.of(0, range(SAMPLES))


def strays(value: float, expected: float, spread: float) -> float:
    """By how many standard deviations something is off."""
    return abs(value - expected) / spread


def normal_strays(x: Tensor) -> float:
    """The worst of mean, variance, skewness, kurtosis and four tails on either side."""
    x, n = x.double().flatten(), x.numel()
    moments = [
        strays(float(x.mean()), 0, math.sqrt(1 / n)),
        strays(float(x.square().mean()), 1, math.sqrt(2 / n)),
        strays(float(x.pow(3).mean()), 0, math.sqrt(15 / n)),
        strays(float(x.pow(4).mean()), 3, math.sqrt(96 / n)),
    ]
    for edge in (1.0, 2.0, 3.0, 4.0):
        for side in (x, -x):
            p = 0.5 * math.erfc(edge / math.sqrt(2))
            moments.append(strays(float((side > edge).sum()), n * p, math.sqrt(n * p * (1 - p))))
    return max(moments)


def uniform_strays(x: Tensor, bins: int) -> float:
    """Chi squared of numbers in [0, 1) over so many bins, in its standard deviations."""
    counts = torch.bincount((x.double().flatten() * bins).long(), minlength=bins).double()
    expected = x.numel() / bins
    chi = float(((counts - expected).square() / expected).sum())
    return strays(chi, bins - 1, math.sqrt(2 * (bins - 1)))


def dependence(a: Tensor, b: Tensor) -> float:
    """The worst agreement of normal numbers' signs, or of their sizes, over a row or a column.

    Each is a fair coin, so that the sum over n of them has the deviation sqrt(n), and what is the
    same in a and b is off by sqrt(n) deviations.
    """
    coins = [x.sign() for x in (a, b)], [(x.abs() - 0.6744898).sign() for x in (a, b)]
    return max(
        float((u * v).sum(along).abs().max()) / math.sqrt(u.shape[along])
        for u, v in coins
        for along in (0, 1)
    )


def test_normal_numbers() -> None:
    assert normal_strays(STREAM[:].normal(NUMBERS)) < SIGMAS


def test_uniform_numbers_do_not_pass_as_normal() -> None:
    uniform = (STREAM[:].uniform(NUMBERS) - 0.5) * math.sqrt(12)
    assert normal_strays(uniform) > 10 * SIGMAS


def test_numbers_from_words_of_16_bits_do_not_pass_as_normal_in_their_tails() -> None:
    coarse = (STREAM[:].uniform(NUMBERS) * 16).floor().add(0.5) / 16
    angle = 2 * math.pi * STREAM.child("angle").uniform(NUMBERS)
    assert normal_strays((-2 * coarse.log()).sqrt() * angle.cos()) > SIGMAS


@pytest.mark.parametrize("bins", [2, 10, 256, 1000])
def test_uniform_numbers(bins: int) -> None:
    assert uniform_strays(STREAM[:].uniform(NUMBERS), bins) < SIGMAS
    whole = STREAM[:].integers(bins, NUMBERS).double().add(0.5) / bins
    assert uniform_strays(whole, bins) < SIGMAS


def test_the_lower_digits_of_uniform_numbers() -> None:
    assert uniform_strays(STREAM[:].uniform(NUMBERS) * 2**16 % 1, 2**8) < SIGMAS


def test_normal_numbers_do_not_pass_as_uniform() -> None:
    assert uniform_strays((STREAM[:].normal(NUMBERS) / 10 + 0.5).clamp(0, 1 - 1e-6), 256) > 100


def pairs() -> dict[str, tuple[Tensor, Tensor]]:
    run = STREAM[:].normal(2 * NUMBERS)
    first, second = STREAM[:], STREAM[:]
    second.normal(NUMBERS)
    return {
        "a child and its parent": (run[:, :NUMBERS], STREAM.child("a").normal(NUMBERS)),
        "two children": (STREAM.child("a").normal(NUMBERS), STREAM.child("b").normal(NUMBERS)),
        "numbered children": (STREAM.child(1).normal(NUMBERS), STREAM.child(2).normal(NUMBERS)),
        "two runs": (run[:, :NUMBERS], Noise.of(1, range(SAMPLES)).normal(NUMBERS)),
        "neighbours": (run[:-1], run[1:]),
        "next to one another": (run[:, :-1], run[:, 1:]),
        "a radius's two numbers": (run[:, :NUMBERS], run[:, NUMBERS:]),
        "one draw and the next": (first.normal(NUMBERS), second.normal(NUMBERS)),
    }


@pytest.mark.parametrize("name", list(pairs()))
def test_streams_samples_and_positions_are_independent(name: str) -> None:
    assert dependence(*pairs()[name]) < SIGMAS + 1  # of tens of thousands


def test_what_is_drawn_twice_is_noticed() -> None:
    x = STREAM[:].normal(NUMBERS)
    assert dependence(x, STREAM[:].normal(NUMBERS)) > 60  # the same stream
    assert dependence(x, x.neg().abs()) > 30  # only their size is the same
    other = STREAM.child("a").normal(NUMBERS)
    for share in (other.clone(), other.clone()):
        share[7] = x[7]  # one sample alone
        assert dependence(x, share) > 60
    wrapped = x[:, : NUMBERS // 2].repeat(1, 2)  # a counter that begins again
    assert dependence(wrapped[:, : NUMBERS // 2], wrapped[:, NUMBERS // 2 :]) > 40
