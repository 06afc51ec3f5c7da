"""Conditions and guidance of the diffusion model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from genzoo.config.composition import compose
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.diffusion.sampling import Sampling
from genzoo.models.base import bits_per_dim
from genzoo.models.diffusion import Diffusion
from genzoo.run.build import build_model

SHAPE = (3, 16, 16)


def diffusion(*overrides: str) -> Diffusion:
    cfg = compose("model=diffusion", "data.image_size=16", *overrides)
    model = build_model(cfg).eval()
    assert isinstance(model, Diffusion)
    torch.manual_seed(0)
    for weight in model.parameters():  # what begins at zero would hide every condition
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    model.sampler = Sampling("ddim", steps=3)
    return model


def noise(batch: Batch) -> Noise:
    return Noise.of(3, batch.index)


@torch.no_grad()
def drawn(model: Diffusion, batch: Batch, guidance: object = None) -> Tensor:
    kinds = {} if guidance is None else {"guidance": guidance}
    return model.sample(batch.condition, SHAPE, noise=noise(batch), **kinds)


def labelled(batch: Batch, label: int) -> Batch:
    return replace(batch, label=torch.full_like(batch.label, label))


@pytest.mark.parametrize("text", [[], ["model.text=null"]], ids=["beside captions", "instead"])
def test_classes_change_the_sample(batch: Batch, text: list[str]) -> None:
    model = diffusion("model.labels=4", *text)
    assert model.capabilities.conditions == ({"label"} if text else {"text", "label"})
    first, second = (drawn(model, labelled(batch, label)) for label in (1, 2))
    assert not torch.allclose(first, second, atol=1e-4)
    nothing = drawn(model, labelled(batch, -1))
    assert not torch.allclose(first, nothing, atol=1e-4)
    # Guidance at scale 0 forgets the condition, at scale 1 it changes nothing.
    torch.testing.assert_close(drawn(model, labelled(batch, 1), ClassifierFree(1.0)), first)
    if text:
        forgetful = drawn(model, labelled(batch, 1), ClassifierFree(0.0))
        torch.testing.assert_close(forgetful, nothing, atol=1e-4, rtol=0)


def test_a_model_without_classes_ignores_them(batch: Batch) -> None:
    model = diffusion()
    assert model.capabilities.conditions == {"text"}
    assert torch.equal(drawn(model, labelled(batch, 0)), drawn(model, labelled(batch, -1)))


@pytest.mark.parametrize("label", [-1, 4])
def test_other_classes_than_the_data_has(batch: Batch, label: int) -> None:
    model = diffusion("model.labels=4")
    with pytest.raises(UsageError, match=r"model\.labels=4"):
        model.check(labelled(batch, label))


def test_the_interval_of_guidance(batch: Batch) -> None:
    """Outside it the network is asked once, and inside twice."""
    model = diffusion(
        "model.process.schedule=squaredcos_cap_v2"
    )  # whose middle step is half noise
    asked: list[int] = []
    model.network.unet.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
    b = len(batch)
    drawn(model, batch, ClassifierFree(3.0))
    assert asked == [2 * b] * 3
    asked.clear()
    drawn(model, batch, ClassifierFree(3.0, interval=(0.0, 0.6)))
    assert asked == [b, 2 * b, 2 * b]
    asked.clear()
    drawn(model, batch, ClassifierFree(1.0))
    assert asked == [b] * 3


@pytest.mark.parametrize("interval", [(0.5, 0.2), (-0.1, 1.0), (0.5,)])
def test_what_is_no_interval(interval: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"guidance\.interval"):
        ClassifierFree(3.0, interval=interval)


@torch.no_grad()
def test_only_a_chain_that_says_its_variance_or_noise_has_a_bound(batch: Batch) -> None:
    chains = (["discrete"], ["direct", "model.process.prediction=v"])
    for process, *more in chains:
        model = diffusion(f"model/process={process}", "model.likelihood_steps=5", *more)
        assert model.capabilities.likelihood == "bound"
        bits = bits_per_dim(model.log_prob(batch, noise=noise(batch)), SHAPE)
        assert bits.shape == (len(batch),)
        assert bits.isfinite().all()
        assert (bits > 0).all()
    for process in ("direct", "edm", "rectified_flow"):
        model = diffusion(f"model/process={process}")
        assert model.capabilities.likelihood is None
        with pytest.raises(Unsupported, match="bound"):
            model.log_prob(batch, noise=noise(batch))
