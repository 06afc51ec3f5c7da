"""Masks of every kind, by the noise alone."""

from __future__ import annotations

import torch

from genzoo.core.noise import Noise
from genzoo.diffusion.masks import random_masks


def test_masks_hide_something_and_depend_on_their_noise_alone() -> None:
    noise = Noise.of(0, range(64))
    masks = random_masks(16, noise=noise)
    assert masks.shape == (64, 1, 16, 16)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    hidden = 1 - masks.flatten(1).mean(1)
    assert (hidden > 0).all()
    assert (hidden == 1).any()
    assert (hidden < 0.3).any()
    assert torch.equal(masks[5:7], random_masks(16, noise=noise[5:7]))
