"""How strongly a sample follows its caption.

A model that can be guided says in its `capabilities` by what; `guidance=` chooses.

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
    """What knows which images go better with a condition."""

    @property
    def noise_aware(self) -> bool:
        """Whether it judges x_t, rather than the image that is expected of it."""

    def log_likelihood(self, cond: Condition) -> LogLikelihood:
        """Log p(condition | image) up to a constant, given images and how noisy they are."""


@dataclass(frozen=True)
class Classifier:
    """Classifier guidance (Dhariwal & Nichol, arXiv 2105.05233, section 4).

    Args:
        scorer: the gradient of whose log-likelihood steers every step.
        scale: by which it is multiplied; 0 is off.
    """

    scorer: Scorer
    scale: float

    @property
    def noise_aware(self) -> bool:
        """Whether the scorer judges x_t, rather than the image that is expected of it."""
        return self.scorer.noise_aware

    def log_likelihood(self, cond: Condition) -> LogLikelihood:
        """The scaled log-likelihood of these conditions."""
        own = self.scorer.log_likelihood(cond)
        return lambda images, level: self.scale * own(images, level)


def mixed(one: LogLikelihood, other: LogLikelihood, share: float) -> LogLikelihood:
    """From the first likelihood, at a share of 0, to the second one, at 1."""
    if share in (0.0, 1.0):
        return other if share else one

    def mixture(images: Images, level: NoiseLevel) -> Float[Tensor, " b"]:
        return (1 - share) * one(images, level) + share * other(images, level)

    return mixture


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance (Ho & Salimans, arXiv 2207.12598).

    Args:
        scale: s in u + s (c - u), where c is what a network says given the caption and u without
            it: 1 is off, 0 ignores the caption.
        interval: shares of noise between which a diffusion model is guided, from 0 (an image) to
            1 (noise alone); outside it asks its network once (arXiv 2404.07724).

    Raises:
        UsageError: for an interval that is none.
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
        """Whether no part of the way is left alone."""
        return tuple(self.interval) == (0.0, 1.0)

    def __call__(self, with_caption: Tensor, without: Tensor) -> Tensor:
        """The guided one of two predictions of the same shape."""
        return without + self.scale * (with_caption - without)


def scale_guidance(guidance: Any, share: float) -> Any:
    """A share of some guidance, from none at 0 to all of it at 1; other things are left alone.

    Guidance by itself leads away from a given image: what stays close to one has little of it.
    """
    if isinstance(guidance, ClassifierFree):
        return replace(guidance, scale=1 + share * (guidance.scale - 1))
    if isinstance(guidance, Classifier):
        return replace(guidance, scale=share * guidance.scale)
    return guidance
