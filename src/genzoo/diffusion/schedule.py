"""Discrete schedules of noise and the choice of fewer steps.

Ho et al. (arXiv 2006.11239), Nichol & Dhariwal (arXiv 2102.09672); steps are chosen exactly as
OpenAI's released GLIDE does.

Tables are computed in NumPy on the host, also for networks on the meta device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.diffusion.table import Steps, Table

Numbers = NDArray[np.float64]
LARGEST_BETA = 0.999  # of the cosine schedule


def linear(steps: int) -> Numbers:
    """Linearly increasing variances, from 1e-4 to 0.02 for a thousand steps (DDPM, section 4)."""
    scale = 1000 / steps
    return np.linspace(scale * 0.0001, scale * 0.02, steps)


def cosine(steps: int) -> Numbers:
    """The share of signal is a squared cosine (improved DDPM, equation 17)."""

    def signal(part: float) -> float:
        return math.cos((part + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [1 - signal((k + 1) / steps) / signal(k / steps) for k in range(steps)]
    return np.minimum(betas, LARGEST_BETA)


def beta_schedule(name: str, steps: int, *, start: float = 1e-4, end: float = 0.02) -> Numbers:
    """Variances between two given ones, as in the first code of DDPM.

    Args:
        name: linear; quad: evenly spaced roots; warmup10 or warmup50: even growth over that
            percentage of the steps, then constant; const: `end` alone; jsd: 1/steps, ..., 1/2, 1.
        steps: how many.
        start: the first one.
        end: the last one.

    Raises:
        UsageError: for another name.
    """

    def warmup(share: float) -> Numbers:
        rising = np.linspace(start, end, int(steps * share))
        return np.concatenate([rising, np.full(steps - len(rising), end)])

    choices: dict[str, Callable[[], Numbers]] = {
        "linear": lambda: np.linspace(start, end, steps),
        "quad": lambda: np.linspace(start**0.5, end**0.5, steps) ** 2,
        "warmup10": lambda: warmup(0.1),
        "warmup50": lambda: warmup(0.5),
        "const": lambda: np.full(steps, end),
        "jsd": lambda: 1 / np.linspace(steps, 1.0, steps),
    }
    if name not in choices:
        raise UsageError(f"there is no schedule called {name}", f"use one of {', '.join(choices)}")
    return choices[name]()


SCHEDULES: dict[str, Callable[[int], Numbers]] = {"linear": linear, "squaredcos_cap_v2": cosine}


def respace(steps: int, choice: str | Sequence[int]) -> list[int]:
    """The steps that a shorter process keeps.

    Args:
        steps: of the whole process.
        choice: how many of each equal section, e.g. ``"27"`` or ``"10,10,3,2,2"`` or a list;
            ``"fast27"`` for GLIDE's upsampler; ``"ddim50"`` for 50 with a whole-numbered stride.

    Raises:
        UsageError: where a section has fewer steps than are wanted, or the text is no choice.
    """
    last = steps - 1
    if isinstance(choice, str):
        if choice.startswith("ddim"):
            return _strided(steps, _whole(choice.removeprefix("ddim"), choice))
        if choice == "fast27":
            # The first choice is "10,10,3,2,2" of a process that ends three steps earlier.
            kept = respace(steps, "10,10,3,2,2")
            return sorted({*(step for step in kept if step != last), steps - 3})
        choice = [_whole(part, choice) for part in choice.split(",")]
    kept, begin = [], 0
    for k, count in enumerate(choice):
        size = steps // len(choice) + (k < steps % len(choice))
        if count > size:
            raise UsageError(
                f"{count} steps cannot be taken from a section of {size}",
                f"choose at most {size} there, or fewer sections",
            )
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        # A running sum, and Python's rounding of halves to even numbers, as the reference has it.
        place = 0.0
        for _ in range(count):
            kept.append(begin + round(place))
            place += stride
        begin += size
    return sorted(set(kept))


def _strided(steps: int, count: int) -> list[int]:
    for stride in range(1, steps):
        kept = range(0, steps, stride)
        if len(kept) == count:
            return list(kept)
    raise UsageError(
        f"no whole-numbered stride takes exactly {count} of {steps} steps",
        f'use "{count}" instead of "ddim{count}"',
    )


def _whole(text: str, choice: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f'"{choice}" is no choice of steps',
            'give a number, "fast27", "ddim50", or numbers with commas',
        ) from None


class Schedule:
    """x_t = alpha_t x_0 + sigma_t eps at a number of times, the least noisy first.

    Step t goes from x_t to x_{t-1}, and step 0 to x_0 itself.

    Args:
        alpha: weight of the image at each time.
        sigma: weight of the noise.
        times: the network's input for each time.

    Raises:
        UsageError: for less than two times.
    """

    def __init__(self, alpha: Numbers, sigma: Numbers, times: NDArray[Any]) -> None:
        if len(alpha) < 2:
            raise UsageError("a process needs two steps at least", "choose more")
        self.alpha, self.sigma, self.times = Table(alpha), Table(sigma), Table(times)

    @classmethod
    def of_betas(cls, betas: Numbers) -> Schedule:
        """The variance-preserving process with these variances of each step's noise.

        Raises:
            UsageError: where one does not lie in (0, 1].
        """
        if not ((betas > 0) & (betas <= 1)).all():
            raise UsageError("every beta has to lie in (0, 1]", "check the schedule")
        signal = np.cumprod(1 - betas)
        return cls(np.sqrt(signal), np.sqrt(1 - signal), np.arange(len(betas)))

    @classmethod
    def discrete(
        cls, name: str, steps: int, choice: str | Sequence[int] | None = None
    ) -> Schedule:
        """A named schedule, whole or with some of its steps (see `respace`).

        Raises:
            UsageError: for an unknown name or an impossible choice.
        """
        if name not in SCHEDULES:
            raise UsageError(
                f"there is no schedule called {name}", f"use one of {', '.join(SCHEDULES)}"
            )
        whole = cls.of_betas(SCHEDULES[name](steps))
        return whole if choice is None else whole.subset(respace(steps, choice))

    def subset(self, kept: Sequence[int]) -> Schedule:
        """The process at a subset of the times."""
        index = sorted(kept)
        return Schedule(*(table.values[index] for table in (self.alpha, self.sigma, self.times)))

    def __len__(self) -> int:
        return len(self.alpha)

    def level(self, steps: Steps, like: Float[Tensor, "b ..."]) -> NoiseLevel:
        """The noise level of each row's step, in the precision of `like`."""
        alpha, sigma = self.alpha.rows(steps, like), self.sigma.rows(steps, like)
        return NoiseLevel(alpha, sigma, self.times.as_input(steps, like))

    @cached_property
    def share(self) -> Table:
        """Share of the noise in the variance, from 0 to 1."""
        alpha, sigma = self.alpha.values, self.sigma.values
        return Table(sigma**2 / (alpha**2 + sigma**2))

    @cached_property
    def angle(self) -> Table:
        """Angle between image and noise, from 0 to pi / 2."""
        return Table(np.arctan2(self.sigma.values, self.alpha.values))

    @cached_property
    def log_snr(self) -> Table:
        """Logarithm of alpha / sigma, minus infinity at pure noise."""
        with np.errstate(divide="ignore"):
            return Table(np.log(self.alpha.values / self.sigma.values))

    @cached_property
    def alpha_before(self) -> Table:
        """Alpha of the time after step t."""
        return Table(np.append(1.0, self.alpha.values[:-1]))

    @cached_property
    def sigma_before(self) -> Table:
        """Sigma of the time after step t."""
        return Table(np.append(0.0, self.sigma.values[:-1]))

    @cached_property
    def betas(self) -> Table:
        """Variance of the noise of one step (DDPM's beta_t)."""
        kept = self.alpha.values / self.alpha_before.values * self.sigma_before.values
        return Table(self.sigma.values**2 - kept**2)

    @cached_property
    def log_betas(self) -> Table:
        """Logarithm of that variance."""
        return Table(np.log(self.betas.values))

    @cached_property
    def posterior_variance(self) -> Table:
        """Variance of q(x_{t-1} | x_t, x_0) (DDPM, equation 7)."""
        return Table(self.betas.values * (self.sigma_before.values / self.sigma.values) ** 2)

    @cached_property
    def posterior_log_variance(self) -> Table:
        """Its logarithm; the first one would be minus infinity and is replaced by the second."""
        variance = self.posterior_variance.values
        return Table(np.log(np.append(variance[1], variance[1:])))

    @cached_property
    def posterior_x0(self) -> Table:
        """Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0)."""
        return Table(self.betas.values * self.alpha_before.values / self.sigma.values**2)

    @cached_property
    def posterior_xt(self) -> Table:
        """Weight of x_t in that mean."""
        shrink = (self.sigma_before.values / self.sigma.values) ** 2
        return Table(self.alpha.values / self.alpha_before.values * shrink)


@dataclass(frozen=True)
class NoiseLevel:
    """The noise level of each row of x_t = alpha x_0 + sigma eps.

    Attributes:
        alpha: weight of the image.
        sigma: weight of the noise.
        time: the network's input.
    """

    alpha: Float[Tensor, "b 1 1 1"]
    sigma: Float[Tensor, "b 1 1 1"]
    time: Shaped[Tensor, " b"]

    def __getitem__(self, rows: slice) -> NoiseLevel:
        return NoiseLevel(self.alpha[rows], self.sigma[rows], self.time[rows])

    def repeat(self, count: int) -> NoiseLevel:
        """The rows repeated `count` times."""
        return NoiseLevel(
            self.alpha.repeat(count, 1, 1, 1),
            self.sigma.repeat(count, 1, 1, 1),
            self.time.repeat(count),
        )
