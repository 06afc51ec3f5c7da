"""Guidance: how strongly a sample follows its condition.

A model lists the kinds of guidance that it takes in its `capabilities`; `guidance=` chooses one.

Shape letters: b batch, c channels, h height, w width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.types import Condition
from genzoo.diffusion.schedule import NoiseLevel

Images = Float[Tensor, "b c h w"]
LogLikelihood = Callable[[Images, NoiseLevel], Float[Tensor, " b"]]


@runtime_checkable
class Scorer(Protocol):
    """A model that scores how well images fit a condition."""

    @property
    def noise_aware(self) -> bool:
        """Whether it scores x_t, rather than the image predicted from it."""

    def log_likelihood(self, cond: Condition) -> LogLikelihood:
        """Log p(condition | image) up to a constant, given images and their noise level."""


@dataclass(frozen=True)
class Classifier:
    """Classifier guidance (Dhariwal & Nichol, arXiv 2105.05233, section 4).

    Args:
        scorer: the gradient of its log-likelihood guides every step.
        scale: of the gradient; 0 is off.
    """

    scorer: Scorer
    scale: float

    @property
    def noise_aware(self) -> bool:
        """Whether the scorer scores x_t, rather than the image predicted from it."""
        return self.scorer.noise_aware

    def log_likelihood(self, cond: Condition) -> LogLikelihood:
        """The scaled log-likelihood of these conditions."""
        own = self.scorer.log_likelihood(cond)
        return lambda images, level: self.scale * own(images, level)


def mixed(one: LogLikelihood, other: LogLikelihood, share: float) -> LogLikelihood:
    """Linear interpolation of two log-likelihoods, from the first at 0 to the second at 1."""
    if share in (0.0, 1.0):
        return other if share else one

    def mixture(images: Images, level: NoiseLevel) -> Float[Tensor, " b"]:
        return (1 - share) * one(images, level) + share * other(images, level)

    return mixture


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance (Ho & Salimans, arXiv 2207.12598).

    Args:
        scale: s in u + s (c - u), where c is the conditional and u the unconditional prediction:
            1 is off, 0 ignores the condition.
        interval: shares of noise between which a diffusion model is guided, from 0 (an image) to
            1 (noise alone); outside it the network is evaluated once (arXiv 2404.07724).

    Raises:
        UsageError: for an invalid interval.
    """

    scale: float
    interval: Sequence[float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.interval) != 2 or not 0 <= self.interval[0] <= self.interval[1] <= 1:
            raise UsageError(
                f"guidance.interval={list(self.interval)} is no interval of shares of noise",
                "write two numbers between 0 and 1, the smaller one first: [0.2,0.8]",
            )

    @property
    def everywhere(self) -> bool:
        """Whether the interval covers all noise levels."""
        return tuple(self.interval) == (0.0, 1.0)

    def __call__(self, with_caption: Tensor, without: Tensor) -> Tensor:
        """The guided prediction from a conditional and an unconditional one."""
        return without + self.scale * (with_caption - without)


def scale_guidance(guidance: Any, share: float) -> Any:
    """Guidance scaled from off, at 0, to its full scale, at 1; anything else is returned as it is.

    Guidance moves samples away from a given image, so small variations of it need little.
    """
    if isinstance(guidance, ClassifierFree):
        return replace(guidance, scale=1 + share * (guidance.scale - 1))
    if isinstance(guidance, Classifier):
        return replace(guidance, scale=share * guidance.scale)
    return guidance
