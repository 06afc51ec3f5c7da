"""Gradient penalties of a discriminator, without which training does not converge.

Each takes the function from images to scores and gives one number an image. The gradient with
respect to the images is computed even where gradients are disabled, so that a penalty can be
monitored on held-out images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "b c h w"]
Score = Callable[[Tensor], Tensor]


def zero_centred(score: Score, images: Images) -> Float[Tensor, " b"]:
    """||grad D(x)||^2 / 2: R1 on real images, R2 on generated ones (arXiv 1801.04406, eq. 9)."""
    return 0.5 * _slope(score, images).square().flatten(1).sum(1)


def one_centred(
    score: Score, real: Images, generated: Images, weight: Float[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """(||grad D(x)|| - 1)^2 at points between real and generated (WGAN-GP, 1704.00028, eq. 3).

    Args:
        score: from images to scores.
        real: images.
        generated: images.
        weight: of the generated image in each point, in [0, 1).
    """
    between = torch.lerp(real, generated, weight[:, None, None, None])
    steepness: Tensor = torch.linalg.vector_norm(_slope(score, between).flatten(1), dim=1)
    return (steepness - 1).square()


def _slope(score: Score, images: Images) -> Images:
    keep = torch.is_grad_enabled()  # the penalty itself is differentiated only in training
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (slope,) = torch.autograd.grad(score(images).sum(), [images], create_graph=keep)
    return slope
