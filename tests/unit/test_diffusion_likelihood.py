"""The bound's terms against what is known of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo.diffusion.likelihood import prior_term, vlb_term
from genzoo.diffusion.predict import Prediction, add_noise
from genzoo.diffusion.schedule import Schedule


def first_term(x_0: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Bits of the grey level in a Gaussian of this mean and variance."""
    schedule = Schedule.discrete("linear", 1000)
    t = torch.zeros(len(x_0), dtype=torch.long)
    level = schedule.level(t, x_0)
    # At step 0 the step's mean is the predicted image.
    return vlb_term(
        Prediction(mean, x_0, level.alpha, level.sigma, log_variance), x_0, schedule, t
    )


def test_all_grey_levels_together_have_probability_one() -> None:
    grey = (torch.arange(256, dtype=torch.float64) / 127.5 - 1).view(-1, 1, 1, 1)
    for mean, width in ((0.0, 0.02), (0.999, 0.3), (-1.5, 0.001), (0.3, 5.0)):
        around = torch.full_like(grey, mean)
        bits = first_term(grey, around, torch.full_like(grey, 2 * math.log(width)))
        assert abs(float((2.0**-bits).sum()) - 1) < 1e-6, (mean, width)


def test_far_grey_levels_keep_their_digits_and_gradients() -> None:
    grey = torch.linspace(-1, 1, 256).view(-1, 1, 1, 1)
    mean = torch.zeros_like(grey).requires_grad_()
    bits = first_term(grey, mean, torch.full_like(grey, 2 * math.log(0.05)))
    assert bits.isfinite().all()
    exact = first_term(
        grey.double(), mean.detach().double(), torch.full_like(grey, 2 * math.log(0.05)).double()
    )
    torch.testing.assert_close(bits.detach().double(), exact, rtol=1e-3, atol=1e-3)
    bits.sum().backward()
    assert mean.grad is not None
    assert mean.grad.isfinite().all()


def test_a_perfect_prediction_costs_nothing_on_the_way() -> None:
    schedule = Schedule.discrete("squaredcos_cap_v2", 100)
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.rand(99, 3, 4, 4, generator=generator, dtype=torch.float64) * 2 - 1
    t = torch.arange(1, 100)
    level = schedule.level(t, x_0)
    x_t = add_noise(x_0, torch.randn(x_0.shape, generator=generator, dtype=torch.float64), level)
    bits = vlb_term(Prediction(x_0, x_t, level.alpha, level.sigma), x_0, schedule, t)
    torch.testing.assert_close(bits, torch.zeros_like(bits), atol=1e-12, rtol=0)


def test_the_bound_of_gaussian_data_is_near_its_entropy() -> None:
    """Data N(0, s^2), seen through its ideal denoiser, variances included: nearly no gap."""
    s, schedule = 0.3, Schedule.discrete("squaredcos_cap_v2", 1000)
    generator = torch.Generator().manual_seed(0)
    x_0 = s * torch.randn(2, 1, 64, 64, generator=generator, dtype=torch.float64)
    x_0 = ((x_0.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    bits = prior_term(x_0, schedule)
    for k in range(1000):
        level = schedule.level(k, x_0)
        x_t = add_noise(
            x_0, torch.randn(x_0.shape, generator=generator, dtype=torch.float64), level
        )
        gain = level.alpha * s**2 / (level.alpha**2 * s**2 + level.sigma**2)
        left = s**2 * level.sigma**2 / (level.alpha**2 * s**2 + level.sigma**2)
        variance = schedule.posterior_variance[k] + schedule.posterior_x0[k] ** 2 * left
        log_variance = variance.log().expand_as(x_t)
        prediction = Prediction(gain * x_t, x_t, level.alpha, level.sigma, log_variance)
        bits = bits + vlb_term(prediction, x_0, schedule, k)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * s**2) - math.log2(2 / 255)
    assert (bits > entropy - 0.05).all()
    assert (bits < entropy + 0.05).all()
