from __future__ import annotations

import math

import torch
from torch.distributions import Normal, kl_divergence

from genzoo.models.vae import discretised_logistic, gaussian_kl


def test_the_likelihood_is_a_distribution_over_256_values() -> None:
    values = torch.arange(256, dtype=torch.float64).view(256, 1, 1, 1) / 127.5 - 1
    for mean in (-1.3, -1.0, 0.1, 0.99):
        for log_scale in (-6.0, -2.0, 1.0):
            log_p = discretised_logistic(
                values, torch.full_like(values, mean), torch.tensor(log_scale)
            )
            assert math.isclose(float(log_p.exp().sum()), 1.0, rel_tol=1e-9)


def test_far_away_pixels_are_unlikely_but_finite() -> None:
    image, mean = torch.ones(1, 1, 1, 1), -torch.ones(1, 1, 1, 1, requires_grad=True)
    log_p = discretised_logistic(image, mean, torch.tensor(-7.0))
    (gradient,) = torch.autograd.grad(log_p.sum(), mean)
    assert log_p.isfinite().all()
    assert log_p < -100
    assert gradient > 0


def test_divergence_is_torchs_own() -> None:
    a, b, c, d = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).unbind(0)
    expected = kl_divergence(Normal(a, b.exp()), Normal(c, d.exp()))
    torch.testing.assert_close(gaussian_kl(a, b, c, d), expected)
