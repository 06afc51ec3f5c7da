from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal

from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.flows.autoregressive import Autoregressive
from genzoo.flows.coupling import AffineCoupling
from genzoo.flows.dequantise import Dequantisation, Uniform, Variational
from genzoo.flows.glow import ConditionalAffine, Glow
from genzoo.flows.linear import ActNorm, InvertibleConv, Whitening
from genzoo.flows.tarflow import TarFlow
from genzoo.flows.transform import Composition, Squeeze, Transform

FEATURES = 5
TRANSFORMER = {"width": 16, "layers": 2, "heads": 2, "expansion": 2, "features": FEATURES}


def autoregressive(*, reverse: bool, couplings: int) -> Autoregressive:
    return Autoregressive(
        6, size=4, reverse=reverse, couplings=couplings, hidden=8, bound=2.0,
        transformer=TRANSFORMER,
    )  # fmt: skip


def glow(levels: int = 2) -> Glow:
    return Glow(image_size=4, patch=2, levels=levels, steps=2, width=8, features=FEATURES)


def tarflow() -> TarFlow:
    return TarFlow(
        image_size=4, patch=2, layers=[1, 2], width=16, heads=2, expansion=2, couplings=2,
        hidden=8, features=FEATURES,
    )  # fmt: skip


TRANSFORMS = {
    "squeeze": (lambda: Squeeze(2), (3, 4, 4)),
    "activation normalisation": (lambda: ActNorm(6), (6, 4, 4)),
    "1x1 convolution": (lambda: InvertibleConv(6), (6, 4, 4)),
    "whitening": (lambda: Whitening(6), (6, 4, 4)),
    "coupling": (lambda: AffineCoupling(5, size=4, width=8, features=FEATURES), (5, 4, 4)),
    "conditional": (lambda: ConditionalAffine((2, 4, 4), features=FEATURES), (2, 4, 4)),
    "composition": (lambda: Composition([ActNorm(3), InvertibleConv(3)]), (3, 4, 4)),
    "autoregressive": (lambda: autoregressive(reverse=False, couplings=0), (6, 4, 4)),
    "in patches": (lambda: autoregressive(reverse=True, couplings=3), (6, 4, 4)),
    "glow": (glow, (3, 4, 4)),
    "tarflow": (tarflow, (3, 4, 4)),
}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_weights(transform: Transform, *, scale: float = 0.2) -> Transform:
    """No layer stays at zero, so that everything takes part."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return transform


@pytest.fixture(params=TRANSFORMS)
def case(request: pytest.FixtureRequest) -> tuple[Transform, Tensor, Tensor]:
    torch.manual_seed(0)
    make, shape = TRANSFORMS[request.param]
    transform = make()
    x, cond = randn(8, *shape), randn(8, FEATURES, seed=1)
    transform.data_dependent_init(2 * x + 1, cond)
    return transform, x, cond


@pytest.mark.parametrize("trained", [False, True])
def test_inverse_undoes_forward(case: tuple[Transform, Tensor, Tensor], trained: bool) -> None:
    transform, x, cond = case
    if trained:
        random_weights(transform, scale=0.1)
    with torch.no_grad():
        z, _ = transform(x, cond)
        torch.testing.assert_close(transform.inverse(z, cond), x, atol=1e-4, rtol=0)
        y = transform.inverse(randn(*z.shape, seed=2), cond)
        torch.testing.assert_close(
            transform(y, cond)[0], randn(*z.shape, seed=2), atol=1e-4, rtol=0
        )


def test_log_determinant_is_that_of_the_jacobian(case: tuple[Transform, Tensor, Tensor]) -> None:
    transform, x, cond = case
    transform = random_weights(transform).double()
    x, cond = x[:2].double(), cond[:2].double()
    _, log_det = transform(x, cond)
    assert log_det.shape == (2,)
    for k in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda row, k=k: transform(row[None], cond[k : k + 1])[0].flatten(), x[k]
        )
        _, expected = torch.linalg.slogdet(jacobian.reshape(x[k].numel(), x[k].numel()))
        # The rotation of the whitening is kept in float32 and so is orthogonal to 1e-7 alone.
        torch.testing.assert_close(log_det[k], expected, atol=1e-6, rtol=1e-6)


def test_rows_do_not_depend_on_one_another(case: tuple[Transform, Tensor, Tensor]) -> None:
    # In float64: in float32 the order of a sum may differ with the size of the batch, and stacked
    # exponentials make 1e-5 of that.
    transform, x, cond = case[0].double(), case[1].double(), case[2].double()
    random_weights(transform)
    with torch.no_grad():
        whole, log_det = transform(x, cond)
        part, part_log_det = transform(x[3:5], cond[3:5])
    torch.testing.assert_close(whole[3:5], part, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(log_det[3:5], part_log_det, atol=1e-10, rtol=1e-10)


def test_activation_normalisation_begins_with_mean_0_and_variance_1() -> None:
    x = randn(64, 3, 4, 4) * torch.tensor([0.1, 1.0, 30.0])[:, None, None] + 7
    z = ActNorm(3).data_dependent_init(x)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.var((0, 2, 3), correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_whitening_takes_correlations_away() -> None:
    grey = randn(64, 1, 4, 4)
    x = grey.expand(-1, 3, -1, -1) + 1e-3 * randn(64, 3, 4, 4, seed=1)
    z = Whitening(3).data_dependent_init(x)
    covariance = torch.cov(z.permute(1, 0, 2, 3).flatten(1), correction=0)
    torch.testing.assert_close(covariance, torch.eye(3), atol=1e-3, rtol=0)


def test_what_never_varies_is_not_blown_up_without_bound() -> None:
    for transform in (ActNorm(3), Whitening(3)):
        z = transform.data_dependent_init(torch.full((8, 3, 4, 4), -1.0))
        assert z.isfinite().all()
        assert transform(torch.zeros(1, 3, 4, 4))[0].abs().max() < 1e5


def test_a_density_is_that_of_torch_distributions() -> None:
    """A linear flow of Gaussian noise is a Gaussian whose covariance is known."""
    torch.manual_seed(0)
    flow = random_weights(Composition([ActNorm(3), InvertibleConv(3)])).double()
    x = randn(10, 3, 1, 1).double()
    z, log_det = flow(x)
    log_p = -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1) + log_det
    mean = flow.inverse(torch.zeros(1, 3, 1, 1).double()).flatten()
    matrix = torch.stack(
        [flow.inverse(e.view(1, 3, 1, 1)).flatten() - mean for e in torch.eye(3).double()], 1
    )
    expected = MultivariateNormal(mean, matrix @ matrix.mT).log_prob(x.flatten(1))
    torch.testing.assert_close(log_p, expected)


def test_a_density_integrates_to_one() -> None:
    """Over the plane: a coupling between two channels of one pixel."""
    flow = random_weights(
        Composition([ActNorm(2), AffineCoupling(2, size=1, width=8, features=0)]), scale=0.7
    ).double()
    axis = torch.linspace(-12, 12, 601).double()
    points = torch.cartesian_prod(axis, axis)[:, :, None, None]
    with torch.no_grad():
        z, log_det = flow(points)
    log_p = -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1) + log_det
    total = log_p.exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(float(total) - 1) < 1e-3


@pytest.mark.parametrize("reverse", [False, True])
def test_a_token_depends_on_the_earlier_ones_alone(reverse: bool) -> None:
    transform = random_weights(autoregressive(reverse=reverse, couplings=2))
    x = randn(1, 6, 4, 4)
    changed = x.clone()
    changed[:, :, 1, 2] += 1.0  # token 6 of 16
    with torch.no_grad():
        moved = (transform(x)[0] != transform(changed)[0]).any(1).flatten()
    first = slice(7, 16) if reverse else slice(0, 6)
    assert not moved[first].any()
    assert moved[6]
    assert moved.sum() > 5


def test_the_memory_of_keys_and_values_changes_nothing() -> None:
    """Token by token with a memory = the fixed point of the parallel map, token by token."""
    transform = random_weights(autoregressive(reverse=False, couplings=2))
    z, cond = randn(3, 6, 4, 4), randn(3, FEATURES, seed=1)
    with torch.no_grad():
        x = torch.zeros_like(z)
        for at in range(16):  # without a memory: the whole sequence for every token
            tokens, row = x.flatten(2).mT, z.flatten(2).mT[:, at]
            context = transform.transformer(tokens, cond)[:, at]
            for affine in reversed(transform.affines):
                row = affine.inverse(row, context)
            x.view(3, 6, 16)[:, :, at] = row
        torch.testing.assert_close(transform.inverse(z, cond), x, atol=1e-5, rtol=1e-5)


# --- dequantisation


def test_learned_noise_has_the_density_it_says() -> None:
    """For one channel: a logit-normal distribution, as torch has it."""
    noise = Noise.of(0, range(6))
    learned = Variational(image_size=4, width=4, channels=1)
    random_weights(learned, scale=0.5)  # type: ignore[arg-type]
    image = torch.rand(6, 1, 4, 4) * 2 - 1
    with torch.no_grad():
        u, log_q = learned(image, noise=noise)
        scale = learned._matrix(image)[0].exp()
    logit = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(torch.zeros_like(scale), scale),
        [torch.distributions.SigmoidTransform()],
    )
    expected = Independent(logit, 3).log_prob(u)
    torch.testing.assert_close(log_q, expected, atol=1e-3, rtol=1e-4)


def test_learned_noise_of_several_channels_has_the_density_it_says() -> None:
    """log q(u) = log N(e) - log |du / de|, with the Jacobian by autograd."""
    learned = Variational(image_size=4, width=4).double()
    random_weights(learned, scale=0.5)  # type: ignore[arg-type]
    image = (torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1).double()

    class Given(Noise):
        def __init__(self, e: Tensor) -> None:
            super().__init__([0])
            self.e = e

        def normal(self, *shape: int) -> Tensor:
            return self.e

    e = randn(1, 3, 4, 4).double()
    _, log_q = learned(image, noise=Given(e))
    jacobian = torch.autograd.functional.jacobian(
        lambda e: learned(image, noise=Given(e))[0].flatten(),
        e,
    ).reshape(48, 48)
    log_normal = -0.5 * (e.square() + math.log(2 * math.pi)).sum()
    torch.testing.assert_close(log_q[0], log_normal - torch.linalg.slogdet(jacobian)[1])


@pytest.mark.parametrize("kind", [Uniform(), Variational(image_size=16, width=8)])
def test_noise_stays_within_a_grey_level(kind: Dequantisation, batch: Batch) -> None:
    assert isinstance(kind, Dequantisation)
    u, log_q = kind(batch.image, noise=Noise.of(0, batch.index))
    assert u.shape == batch.image.shape
    assert log_q.shape == (len(batch),)
    assert u.min() >= 0
    assert u.max() <= 1
    assert abs(float(u.detach().mean()) - 0.5) < 0.02
