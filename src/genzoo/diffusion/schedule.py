"""Discrete schedules of noise and the choice of fewer steps.

Ho et al. (arXiv 2006.11239), Nichol & Dhariwal (arXiv 2102.09672); steps are chosen exactly as
OpenAI's released GLIDE does.

Tables are float64 and are cast after a step's entry is taken: differences of neighbouring entries
would be lost in float32. They stay on the CPU, even where a network is built without memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int, Shaped
from torch import Tensor

from genzoo.errors import UsageError

Table = Float64[Tensor, " n"]
LARGEST_BETA = 0.999  # of the cosine schedule


def linear(steps: int) -> Table:
    """Variances that grow evenly, from 1e-4 to 0.02 for a thousand steps (DDPM, section 4)."""
    scale = 1000 / steps
    return torch.linspace(scale * 0.0001, scale * 0.02, steps, dtype=torch.float64, device="cpu")


def cosine(steps: int) -> Table:
    """The share of signal falls like a squared cosine (improved DDPM, equation 17)."""

    def signal(part: float) -> float:
        return math.cos((part + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [1 - signal((k + 1) / steps) / signal(k / steps) for k in range(steps)]
    return torch.tensor(betas, dtype=torch.float64, device="cpu").clamp(max=LARGEST_BETA)


def between(name: str, steps: int, *, start: float = 1e-4, end: float = 0.02) -> Table:
    """Variances between two given ones, as DDPM's first code spaced them.

    Args:
        name: linear; quad: evenly spaced roots; warmup10 or warmup50: even growth over that
            percentage of the steps, then constant; const: `end` alone; jsd: 1/steps, ..., 1/2, 1.
        steps: how many.
        start: the first one.
        end: the last one.

    Raises:
        UsageError: for another name.
    """

    def spread(first: float, last: float, count: int) -> Table:
        return torch.linspace(first, last, count, dtype=torch.float64, device="cpu")

    def warmup(share: float) -> Table:
        rising = spread(start, end, int(steps * share))
        return torch.cat([rising, rising.new_full((steps - len(rising),), end)])

    ways: dict[str, Callable[[], Table]] = {
        "linear": lambda: spread(start, end, steps),
        "quad": lambda: spread(start**0.5, end**0.5, steps) ** 2,
        "warmup10": lambda: warmup(0.1),
        "warmup50": lambda: warmup(0.5),
        "const": lambda: spread(end, end, steps),
        "jsd": lambda: 1 / spread(float(steps), 1.0, steps),
    }
    if name not in ways:
        raise UsageError(f"there is no schedule called {name}", f"use one of {', '.join(ways)}")
    return ways[name]()


SCHEDULES: dict[str, Callable[[int], Table]] = {"linear": linear, "squaredcos_cap_v2": cosine}


def spaced(steps: int, choice: str | Sequence[int]) -> list[int]:
    """The steps that a shorter process keeps.

    Args:
        steps: of the whole process.
        choice: how many of each equal section, e.g. ``"27"`` or ``"10,10,3,2,2"`` or a list;
            ``"fast27"`` for GLIDE's upsampler; ``"ddim50"`` for 50 with a whole-numbered stride.

    Raises:
        UsageError: where a section has fewer steps than are wanted, or the text means nothing.
    """
    last = steps - 1
    if isinstance(choice, str):
        if choice.startswith("ddim"):
            return _strided(steps, _whole(choice.removeprefix("ddim"), choice))
        if choice == "fast27":
            # The first choice is "10,10,3,2,2" of a process that ends three steps earlier.
            kept = spaced(steps, "10,10,3,2,2")
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


@dataclass(frozen=True)
class Schedule:
    """x_t = alpha_t x_0 + sigma_t eps at a number of times, the least noisy first.

    Step t leads from x_t to the x of the time before, and step 0 to x_0 itself.

    Attributes:
        alpha: weight of the image.
        sigma: weight of the noise.
        times: what a network is told of each time.
    """

    alpha: Table
    sigma: Table
    times: Shaped[Tensor, " n"]

    def __post_init__(self) -> None:
        if len(self.alpha) < 2:
            raise UsageError("a process needs two steps at least", "choose more")

    @classmethod
    def of_betas(cls, betas: Table, times: Shaped[Tensor, " n"] | None = None) -> Schedule:
        """The process that adds noise of so much variance a step and keeps the variance at 1.

        Raises:
            UsageError: where one does not lie in (0, 1].
        """
        if not (betas > 0).all() or not (betas <= 1).all():
            raise UsageError("every beta has to lie in (0, 1]", "check the schedule")
        signal = (1 - betas).cumprod(0)
        steps = torch.arange(len(betas), device="cpu") if times is None else times
        return cls(signal.sqrt(), (1 - signal).sqrt(), steps)

    @classmethod
    def discrete(
        cls, name: str, steps: int, choice: str | Sequence[int] | None = None
    ) -> Schedule:
        """A named schedule, whole or with some of its steps (see `spaced`).

        Raises:
            UsageError: for an unknown name or an impossible choice.
        """
        if name not in SCHEDULES:
            raise UsageError(
                f"there is no schedule called {name}", f"use one of {', '.join(SCHEDULES)}"
            )
        whole = cls.of_betas(SCHEDULES[name](steps))
        return whole if choice is None else whole.keep(spaced(steps, choice))

    def keep(self, kept: Sequence[int]) -> Schedule:
        """The process that visits only some of the times."""
        index = torch.tensor(sorted(kept))
        return Schedule(self.alpha[index], self.sigma[index], self.times[index])

    def __len__(self) -> int:
        return len(self.alpha)

    def level(self, steps: Int[Tensor, " b"], like: Float[Tensor, "b ..."]) -> Level:
        """The noise of each row's step, in the precision of `like`."""
        time = self.times.to(steps.device)[steps]
        return Level(at(self.alpha, steps, like), at(self.sigma, steps, like), time)

    @cached_property
    def alpha_before(self) -> Table:
        """Alpha of the time that step t leads to."""
        return torch.cat([self.alpha.new_ones(1), self.alpha[:-1]])

    @cached_property
    def sigma_before(self) -> Table:
        """Sigma of the time that step t leads to."""
        return torch.cat([self.sigma.new_zeros(1), self.sigma[:-1]])

    @cached_property
    def betas(self) -> Table:
        """Variance that is added on the way from the time before (DDPM's beta_t)."""
        return self.sigma**2 - (self.alpha / self.alpha_before * self.sigma_before) ** 2

    @cached_property
    def posterior_variance(self) -> Table:
        """Of the x before, given x_t and x_0 (DDPM, equation 7)."""
        return self.betas * (self.sigma_before / self.sigma) ** 2

    @cached_property
    def posterior_log_variance(self) -> Table:
        """The first one would be minus infinity; it takes the second one's place."""
        return torch.cat([self.posterior_variance[1:2], self.posterior_variance[1:]]).log()

    @cached_property
    def posterior_x0(self) -> Table:
        """Weight of x_0 in the mean of the x before, given x_t and x_0."""
        return self.betas * self.alpha_before / self.sigma**2

    @cached_property
    def posterior_xt(self) -> Table:
        """Weight of x_t in that mean."""
        return self.alpha / self.alpha_before * (self.sigma_before / self.sigma) ** 2


@dataclass(frozen=True)
class Level:
    """How noisy each row of x_t = alpha x_0 + sigma eps is.

    Attributes:
        alpha: weight of the image.
        sigma: weight of the noise.
        time: what a network is told.
    """

    alpha: Float[Tensor, "b 1 1 1"]
    sigma: Float[Tensor, "b 1 1 1"]
    time: Shaped[Tensor, " b"]

    def __getitem__(self, rows: slice) -> Level:
        return Level(self.alpha[rows], self.sigma[rows], self.time[rows])

    def repeat(self, count: int) -> Level:
        """All rows `count` times, one after the other."""
        return Level(
            self.alpha.repeat(count, 1, 1, 1),
            self.sigma.repeat(count, 1, 1, 1),
            self.time.repeat(count),
        )


def at(
    table: Table, steps: Int[Tensor, " b"], like: Float[Tensor, "b ..."]
) -> Float[Tensor, "b ..."]:
    """Each row's entry of a table, in the precision and with the dimensions of `like`."""
    entries = table.to(steps.device)[steps].to(like.dtype)
    return entries.view(-1, *[1] * (like.ndim - 1))
