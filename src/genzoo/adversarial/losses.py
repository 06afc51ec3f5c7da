"""Losses of generator and discriminator, one pure function each.

All take the discriminator's scores of real and of generated images, paired sample by sample, and
give a loss a sample. A score is a real number whose meaning depends on the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Scores = Float[Tensor, " b"]
ScoreLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of both networks.

    Attributes:
        discriminator: loss of the discriminator, from scores of (real, generated) images.
        generator: loss of the generator, from the same.
        boundary: the score above which the discriminator classifies an image as real; None
            where only differences of scores have a meaning.
    """

    discriminator: ScoreLoss
    generator: ScoreLoss
    boundary: float | None


def relativistic_discriminator(real: Scores, generated: Scores) -> Scores:
    """-log sigmoid(D(real) - D(generated)) (Jolicoeur-Martineau, arXiv 1807.00734, eq. 3)."""
    return F.softplus(generated - real)


def relativistic_generator(real: Scores, generated: Scores) -> Scores:
    """-log sigmoid(D(generated) - D(real)); as in R3GAN (arXiv 2501.05441, eq. 2)."""
    return F.softplus(real - generated)


def non_saturating_discriminator(real: Scores, generated: Scores) -> Scores:
    """Cross entropy of real against generated (Goodfellow et al., arXiv 1406.2661, eq. 1)."""
    return F.softplus(-real) + F.softplus(generated)


def non_saturating_generator(real: Scores, generated: Scores) -> Scores:
    """-log D(generated) instead of log(1 - D(generated)) (arXiv 1406.2661, section 3)."""
    return F.softplus(-generated)


def hinge_discriminator(real: Scores, generated: Scores) -> Scores:
    """Margins of one on either side (Lim & Ye, arXiv 1705.02894; SAGAN, 1805.08318, eq. 4)."""
    return F.relu(1 - real) + F.relu(1 + generated)


def hinge_generator(real: Scores, generated: Scores) -> Scores:
    """The negated scores of generated images (arXiv 1805.08318, eq. 4)."""
    return -generated


def least_squares_discriminator(real: Scores, generated: Scores) -> Scores:
    """Scores of 1 for real and 0 for generated (Mao et al., arXiv 1611.04076, eq. 9)."""
    return 0.5 * ((real - 1).square() + generated.square())


def least_squares_generator(real: Scores, generated: Scores) -> Scores:
    """Scores of 1 for generated images (arXiv 1611.04076, eq. 9)."""
    return 0.5 * (generated - 1).square()


def wasserstein_discriminator(real: Scores, generated: Scores) -> Scores:
    """The critic's estimate of the earth mover's distance, negated (arXiv 1701.07875, eq. 2).

    Needs a gradient penalty to keep the critic's slope bounded.
    """
    return generated - real


def wasserstein_generator(real: Scores, generated: Scores) -> Scores:
    """The part of that distance that depends on the generator."""
    return -generated


LOSSES: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator, None),
    "non_saturating": AdversarialLoss(non_saturating_discriminator, non_saturating_generator, 0.0),
    "hinge": AdversarialLoss(hinge_discriminator, hinge_generator, 0.0),
    "least_squares": AdversarialLoss(least_squares_discriminator, least_squares_generator, 0.5),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator, None),
}


def discriminator_accuracy(
    real: Scores, generated: Scores, boundary: float | None
) -> tuple[Scores, Scores]:
    """Whether the discriminator classifies each real and generated image correctly, as 0 or 1.

    Without a boundary a score is compared with the mean score of the other images.
    """
    with torch.no_grad():
        low = generated.mean() if boundary is None else boundary
        high = real.mean() if boundary is None else boundary
        return (real > low).to(real.dtype), (generated < high).to(real.dtype)
