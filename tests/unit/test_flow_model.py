from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.config.composition import compose
from genzoo.core.image import to_uint8
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.flows.glow import ConditionalAffine
from genzoo.flows.transform import Features, Guided, Transform
from genzoo.models.base import bits_per_dim, identity
from genzoo.models.flow import Flow
from genzoo.run.build import build_model

SHAPE = (3, 16, 16)
ARCHS = ("glow", "tarflow")


def composed(*overrides: str) -> DictConfig:
    return compose("model=flow", "data.image_size=16", *overrides)


def noise(batch: Batch, *names: str) -> Noise:
    return Noise.of(7, batch.index, *names)


def trained(arch: str, batch: Batch, *overrides: str, steps: int = 8) -> Flow:
    """A flow after a few steps on one batch."""
    model = build_model(composed(f"model/arch={arch}", *overrides))
    assert isinstance(model, Flow)
    model.data_dependent_init(batch, noise=noise(batch))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(steps):
        loss = model.losses(batch, noise=noise(batch, str(step))).total.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("steps", [0, 8])
def test_images_come_back(arch: str, steps: int, batch: Batch) -> None:
    model = trained(arch, batch, steps=steps)
    with torch.no_grad():
        losses = model.losses(batch, noise=noise(batch))
        rebuilt = model.reconstruct(batch.image, batch.condition)
    torch.testing.assert_close(rebuilt, batch.image, atol=1e-4, rtol=0)
    assert losses.parts["inversion_error"].max() < 1e-4


@pytest.mark.parametrize("arch", ARCHS)
def test_parts_add_up_to_bits_per_dimension(arch: str, batch: Batch) -> None:
    model = trained(arch, batch, "model.drop=0.0", steps=2)
    with torch.no_grad():
        losses = model.losses(batch, noise=noise(batch))
        log_prob = model.log_prob(batch, noise=noise(batch))
    parts = {k: v for k, v in losses.parts.items() if k != "inversion_error"}
    assert set(parts) == {"latent", "log_det", "dequantisation"}
    torch.testing.assert_close(losses.total, torch.stack(list(parts.values())).sum(0))
    torch.testing.assert_close(losses.total, bits_per_dim(log_prob, SHAPE))


def test_the_inverse_is_watched_without_gradients_alone(batch: Batch) -> None:
    model = build_model(composed())
    assert "inversion_error" not in model.losses(batch, noise=noise(batch)).parts


@pytest.mark.parametrize("arch", ARCHS)
def test_learning_lowers_the_bits(arch: str, batch: Batch) -> None:
    before, after = trained(arch, batch, steps=0), trained(arch, batch, steps=8)
    with torch.no_grad():
        first = before.log_prob(batch, noise=noise(batch)).mean()
        second = after.log_prob(batch, noise=noise(batch)).mean()
    assert second > first


def test_grey_pictures_with_a_constant_border_are_no_trouble(batch: Batch) -> None:
    image = batch.image[:, :1].expand(-1, 3, -1, -1).clone()
    image[:, :, :3], image[:, :, -3:] = -1.0, -1.0
    grey = replace(batch, image=image)
    for arch in ARCHS:
        model = trained(arch, grey, steps=10)
        with torch.no_grad():
            losses = model.losses(grey, noise=noise(grey))
        assert losses.total.isfinite().all()
        assert losses.parts["inversion_error"].max() < 1e-4


@pytest.mark.parametrize("kind", ["uniform", "variational"])
def test_the_dequantisation_has_a_name(kind: str) -> None:
    model = build_model(composed(f"model/dequantisation={kind}"))
    assert isinstance(model, Flow)
    assert model.dequantisation == kind


def test_samples_at_temperature_zero_are_the_same(batch: Batch) -> None:
    model = trained("glow", batch, "model.temperature=0.0", steps=1)
    cond = batch.condition[1:2].repeat(2)
    with torch.no_grad():
        images = model.sample(cond, SHAPE, noise=Noise([1, 2]))
    torch.testing.assert_close(images[0], images[1])


def test_a_drawn_latent_decodes_to_the_sample(batch: Batch) -> None:
    model = trained("glow", batch)
    with torch.no_grad():
        latent = model.sample_latent(batch.condition, noise=noise(batch))
        decoded = model.decode(latent, batch.condition)
        sample = model.sample(batch.condition, SHAPE, noise=noise(batch))
    torch.testing.assert_close(decoded, sample, atol=1e-3, rtol=0)


def test_autocast_does_not_cost_the_inverse(batch: Batch) -> None:
    model = trained("glow", batch, steps=3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rebuilt = model.reconstruct(batch.image, batch.condition)
        losses = model.losses(batch, noise=noise(batch))
    assert losses.total.dtype == torch.float32
    torch.testing.assert_close(rebuilt, batch.image, atol=1e-4, rtol=0)
    assert torch.equal(to_uint8(rebuilt), to_uint8(batch.image))


@pytest.mark.parametrize("arch", ARCHS)
def test_guidance_is_off_at_scale_one(arch: str, batch: Batch) -> None:
    model = trained(arch, batch)
    with torch.no_grad():
        plain, one, three = (
            model.sample(batch.condition, SHAPE, noise=noise(batch), guidance=guidance)
            for guidance in (identity, ClassifierFree(1.0), ClassifierFree(3.0))
        )
    torch.testing.assert_close(one, plain, atol=1e-3, rtol=0)
    assert not torch.allclose(three, plain, atol=1e-3)


@pytest.mark.parametrize("arch", ARCHS)
def test_guidance_at_scale_zero_ignores_the_caption(arch: str, batch: Batch) -> None:
    model = trained(arch, batch)
    other = batch.condition[3:4].repeat(len(batch))
    with torch.no_grad():
        first, second = (
            model.sample(cond, SHAPE, noise=noise(batch), guidance=ClassifierFree(0.0))
            for cond in (batch.condition, other)
        )
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_guided_gaussians_are_those_of_the_formula() -> None:
    """u + s (c - u) for the mean, and for the logarithm of the standard deviation."""
    affine = ConditionalAffine((1, 1, 1), features=1, bound=100.0)
    with torch.no_grad():
        affine.net.weight.copy_(torch.tensor([[-2.0], [0.3]]))
        affine.net.bias.copy_(torch.tensor([-1.0, 0.1]))
    guided = Guided(torch.ones(1, 1), torch.zeros(1, 1), ClassifierFree(3.0))
    x = affine.inverse(torch.full((1, 1, 1, 1), 0.5), guided)
    # z = (x + t) e^s: without t = -1, s = 0.1; with it t = -3, s = 0.4; guided -7 and 1.
    torch.testing.assert_close(x.item(), 0.5 * math.exp(-1.0) + 7.0, atol=1e-3, rtol=0)


def test_denoising_is_the_posterior_mean_of_gaussian_data(batch: Batch) -> None:
    """An affine flow of Gaussian images: E[clean | noisy] is known in closed form."""

    class Standard(Transform):
        """Images with standard deviation 0.3, noised by 0.4: together 0.5."""

        def forward(self, x: Tensor, cond: Features = None) -> tuple[Tensor, Tensor]:
            return (x / 0.5).flatten(1), torch.full((len(x),), -768 * math.log(0.5))

        def inverse(self, z: Tensor, cond: Features = None) -> Tensor:
            return 0.5 * z.unflatten(1, SHAPE)

    model = build_model(composed("model.noise_std=0.4", "model.temperature=1.0"))
    assert isinstance(model, Flow)
    model.arch = Standard()
    with torch.no_grad():
        image = model.sample(batch.condition, SHAPE, noise=noise(batch))
    noisy = 0.5 * noise(batch).normal(768).unflatten(1, SHAPE)
    expected = noisy * 0.3**2 / (0.3**2 + 0.4**2)
    torch.testing.assert_close(image, expected * 256 / 255, atol=1e-5, rtol=0)


def test_noise_on_training_images_leaves_the_likelihood_that_of_clean_ones(batch: Batch) -> None:
    clean, noisy = (build_model(composed(f"model.noise_std={std}")) for std in (0.0, 0.2))
    with torch.no_grad():
        torch.testing.assert_close(
            clean.log_prob(batch, noise=noise(batch)), noisy.log_prob(batch, noise=noise(batch))
        )
        a, b = (m.losses(batch, noise=noise(batch)).total for m in (clean, noisy))
    assert not torch.allclose(a, b)


def test_noise_on_training_images_is_there_from_the_beginning(batch: Batch) -> None:
    """Whitening that had not seen it would call it enormous."""
    grey = replace(batch, image=batch.image[:, :1].expand(-1, 3, -1, -1).clone())
    model = build_model(composed("model/arch=tarflow", "model.noise_std=0.1"))
    model.data_dependent_init(grey, noise=noise(grey))
    with torch.no_grad():
        latent = model.losses(grey, noise=noise(grey)).parts["latent"]
    assert latent.mean() < 3  # bits of a standard normal number: 2.05
