"""Samplers on Gaussian data, whose ideal denoiser is known: means and covariances, no chance.

With that denoiser every sampler is a linear map of the noise at its beginning and at each step.
The map is found by drawing with one number 1 and the others 0, so nothing here is estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from genzoo.diffusion import sampler
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.process import EDM, Discrete, Process, RectifiedFlow
from genzoo.diffusion.sampler import Sampler
from genzoo.diffusion.schedule import Schedule

MEAN = torch.tensor([0.3, -0.2, 0.1, 0.4], dtype=torch.float64)
ROOT = torch.tensor(
    [[0.5, 0, 0, 0], [0.3, 0.4, 0, 0], [-0.2, 0.1, 0.3, 0], [0.1, 0.2, -0.1, 0.2]],
    dtype=torch.float64,
)
COVARIANCE = ROOT @ ROOT.T
SHAPE = (1, 2, 2)

PROCESSES: dict[str, Callable[[], Process]] = {
    "cosine": partial(
        Discrete, schedule="squaredcos_cap_v2", steps=4000, prediction="eps",
        learned_variance=False,
    ),
    "linear": partial(
        Discrete, schedule="linear", steps=4000, prediction="eps", learned_variance=False
    ),
    "flow": RectifiedFlow,
    "edm": EDM,
}  # fmt: skip


def ideal(schedule: Schedule) -> Callable[[Tensor, int], Prediction]:
    """The mean of the image given x_t."""

    def denoise(x_t: Tensor, k: int) -> Prediction:
        alpha, sigma = schedule.alpha[k], schedule.sigma[k]
        gain = (
            alpha
            * COVARIANCE
            @ torch.linalg.inv(
                alpha**2 * COVARIANCE + sigma**2 * torch.eye(4, dtype=torch.float64)
            )
        )
        x0 = MEAN + (x_t.flatten(1) - alpha * MEAN) @ gain.T
        level = schedule.level(k, x_t)
        return Prediction(x0.view_as(x_t), x_t, level.alpha, level.sigma)

    return denoise


class Impulses:
    """Noise of 0 for every row but those that get a single 1 in one of the draws."""

    def __init__(self, rows: int, places: list[tuple[int, int, int]]) -> None:
        self.rows, self.places, self.count = rows, places, 0  # (row, draw, number)

    def normal(self, *shape: int) -> Tensor:
        numbers = torch.zeros(self.rows, 4, dtype=torch.float64)
        for row, draw, number in self.places:
            if draw == self.count:
                numbers[row, number] = 1
        self.count += 1
        return numbers.view(self.rows, *shape)


def moments(method: Sampler, schedule: Schedule, *, draws: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance of what a sampler draws from Gaussian noise."""
    start = torch.zeros(5 + 4 * draws, 4, dtype=torch.float64)
    start[1:5] = torch.eye(4) * schedule.sigma[-1]
    places = [(5 + 4 * draw + k, draw, k) for draw in range(draws) for k in range(4)]
    noise = Impulses(len(start), places)
    x = start.view(-1, *SHAPE)
    drawn = sampler.final(method(ideal(schedule), x, schedule, noise)).flatten(1)
    ways = drawn[1:] - drawn[0]
    return drawn[0], ways.T @ ways


def error(method: Sampler, process: str, steps: int, *, draws: int = 0) -> float:
    """The largest deviation of mean and covariance from the data's."""
    mean, covariance = moments(method, PROCESSES[process]().schedule(steps), draws=draws)
    return max(float((mean - MEAN).abs().max()), float((covariance - COVARIANCE).abs().max()))


DETERMINISTIC = {"ddim": sampler.ddim, "dpm_solver": sampler.dpm_solver, "heun": sampler.heun}


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_moments_without_noise_on_the_way(name: str, process: str) -> None:
    limit = {"ddim": 0.02, "dpm_solver": 0.004, "heun": 0.004}[name]
    assert error(DETERMINISTIC[name], process, 200) < limit


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("name", ["ddpm", "ddim with noise"])
def test_moments_with_noise_on_the_way(name: str, process: str) -> None:
    method = sampler.ancestral if name == "ddpm" else partial(sampler.ddim, eta=1.0)
    assert error(method, process, 100, draws=100) < 0.03


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm_solver", 2), ("heun", 2)])
def test_errors_shrink_as_fast_as_the_order_says(name: str, order: int) -> None:
    """Twice the steps: half the error of a method of first order, a quarter of one of second."""

    def deviation(steps: int) -> float:
        # The last step, to no noise, is of first order always: it begins at next to none.
        sigma = np.logspace(-4, 1, steps)
        schedule = Schedule(np.ones_like(sigma), sigma, sigma)
        _, covariance = moments(DETERMINISTIC[name], schedule, draws=0)
        return float((covariance - exact(schedule)).abs().max())

    errors = [deviation(steps) for steps in (50, 100, 200)]
    ratios = [a / b for a, b in pairwise(errors)]
    assert all(ratio > 0.75 * 2**order for ratio in ratios), (errors, ratios)


def exact(schedule: Schedule) -> Tensor:
    """Covariance after the probability flow from the last level to none at all."""
    values, vectors = torch.linalg.eigh(COVARIANCE)
    start = schedule.sigma[-1] ** 2
    return vectors @ torch.diag(start * values / (values + start)) @ vectors.T


def test_a_sample_depends_on_its_own_noise_alone() -> None:
    from genzoo.core.noise import Noise

    schedule = PROCESSES["cosine"]().schedule(10)

    def denoise(x_t: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        return Prediction(x_t.tanh(), x_t, level.alpha, level.sigma)

    def drawn(rows: slice) -> Iterator[Tensor]:
        noise = Noise.of(0, range(6))[rows]
        x = noise.child("start").normal(*SHAPE)
        for method in (sampler.ancestral, partial(sampler.ddim, eta=0.5), sampler.dpm_solver):
            yield sampler.final(method(denoise, x, schedule, noise.child("steps")))

    for whole, part in zip(drawn(slice(0, 6)), drawn(slice(2, 4)), strict=True):
        torch.testing.assert_close(whole[2:4], part)
