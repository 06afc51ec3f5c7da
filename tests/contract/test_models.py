"""Every configs/model/*.yaml keeps the contract of `GenerativeModel`; a new one is picked up."""

from __future__ import annotations

import copy

import pytest
import torch
from omegaconf import DictConfig

from genzoo.config.composition import compose
from genzoo.config.paths import groups
from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Capabilities
from genzoo.models import manipulation
from genzoo.models.base import (
    Endpoint,
    GenerativeModel,
    bits_per_dim,
    interpolate_points,
    parameter_count,
)
from genzoo.run.build import build_model

SHAPE = (3, 16, 16)
STEPS = "sampler.steps=8"
FEWER = {  # steps of drawing
    "diffusion": (STEPS, "model.likelihood_steps=8"),
    "glide": (STEPS, "model.likelihood_steps=8"),
    "unclip": (STEPS, "model.prior.steps=8"),
}


def composed(name: str) -> DictConfig:
    return compose(f"model={name}", "data.image_size=16", *FEWER.get(name, ()))


@pytest.fixture(autouse=True)
def few_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a given image to its noise and back."""
    monkeypatch.setattr(manipulation, "INVERSION", 8)


@pytest.fixture(scope="module", params=groups()["model"])
def fresh(request: pytest.FixtureRequest) -> GenerativeModel:
    """A model with its initial weights."""
    return build_model(composed(request.param))


@pytest.fixture
def model(fresh: GenerativeModel, batch: Batch) -> GenerativeModel:
    """The model after a few steps, so that what starts at zero is zero no more."""
    model = copy.deepcopy(fresh)
    model.check(batch)
    model.data_dependent_init(batch, noise=noise(batch))
    objectives = model.objectives().values()
    optimizers = [torch.optim.Adam(o.parameters, lr=1e-3) for o in objectives]
    for step in range(3):
        for objective, optimizer in zip(objectives, optimizers, strict=True):
            loss = objective.losses(batch, noise=noise(batch, step)).total.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        model.fit_sampling_prior([batch])
    return model


def noise(batch: Batch, *names: int) -> Noise:
    return Noise.of(7, batch.index, *names)


def totals(model: GenerativeModel, batch: Batch) -> torch.Tensor:
    """The total losses of all objectives, one after the other."""
    objectives = model.objectives().values()
    return torch.cat([o.losses(batch, noise=noise(batch)).total.detach() for o in objectives])


def test_losses_are_named_finite_and_one_a_sample(fresh: GenerativeModel, batch: Batch) -> None:
    for objective in fresh.objectives().values():
        losses = objective.losses(batch, noise=noise(batch))
        assert losses.parts
        for value in (losses.total, *losses.parts.values()):
            assert value.shape == (len(batch),)
            assert value.isfinite().all()


def test_losses_come_from_the_noise_alone(fresh: GenerativeModel, batch: Batch) -> None:
    torch.manual_seed(1)
    first = totals(fresh, batch)
    torch.manual_seed(2)
    assert torch.equal(first, totals(fresh, batch))


def test_training_and_evaluation_agree(fresh: GenerativeModel, batch: Batch) -> None:
    torch.testing.assert_close(totals(fresh.train(), batch), totals(fresh.eval(), batch))


def test_every_parameter_learns(model: GenerativeModel, batch: Batch) -> None:
    # What a model took over from another, such as unCLIP's CLIP, does not learn.
    names = {p: name for name, p in model.named_parameters() if p.requires_grad}
    for objective in model.objectives().values():
        model.zero_grad()
        objective.losses(batch, noise=noise(batch)).total.mean().backward()
        for parameter in objective.parameters:
            name = names.pop(parameter)
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
    assert not names, "follow no objective"


def test_samples_are_images_of_their_own_stream(model: GenerativeModel, batch: Batch) -> None:
    cond = batch.condition
    if model.capabilities.sampling is None:
        with pytest.raises(Unsupported):
            model.sample(cond, SHAPE, noise=noise(batch))
        return
    with torch.no_grad():
        whole = model.sample(cond, SHAPE, noise=noise(batch))
        again = model.sample(cond, SHAPE, noise=noise(batch))
        part = model.sample(cond[2:4], SHAPE, noise=noise(batch)[2:4])
        other = model.sample(cond, SHAPE, noise=noise(batch, 1))
    assert whole.shape == (len(batch), *SHAPE)
    assert whole.min() >= -1
    assert whole.max() <= 1
    assert torch.equal(whole, again)
    torch.testing.assert_close(whole[2:4], part, atol=1e-4, rtol=0)
    assert not torch.allclose(whole, other, atol=1e-4)


def test_a_caption_changes_the_sample_of_a_text_model(
    model: GenerativeModel, batch: Batch
) -> None:
    if "text" not in model.capabilities.conditions:
        pytest.skip("does not take captions")
    cond = batch.condition
    with torch.no_grad():
        first = model.sample(cond[4:5], SHAPE, noise=noise(batch)[:1])
        second = model.sample(cond[5:6], SHAPE, noise=noise(batch)[:1])
    assert not torch.allclose(first, second, atol=1e-4)


def test_likelihood_is_there_or_declined(model: GenerativeModel, batch: Batch) -> None:
    if model.capabilities.likelihood is None:
        with pytest.raises(Unsupported):
            model.log_prob(batch, noise=noise(batch))
        return
    with torch.no_grad():
        log_prob = model.log_prob(batch, noise=noise(batch))
    assert log_prob.shape == (len(batch),)
    bits = bits_per_dim(log_prob, SHAPE)
    assert bits.isfinite().all()
    assert (bits > 0).all()


def test_latents_lead_to_images_or_are_declined(model: GenerativeModel, batch: Batch) -> None:
    cond = batch.condition
    if not model.capabilities.latent:
        with pytest.raises(Unsupported):
            model.sample_latent(cond, noise=noise(batch))
        return
    with torch.no_grad():
        latent = model.sample_latent(cond, noise=noise(batch))
        path = interpolate_points(latent[:1], latent[1:2], 5)
        ends = model.decode(path[0, [0, -1]], cond[:2])
        images = model.decode(latent, cond)
    assert latent.shape[0] == len(batch)
    assert images.shape == batch.image.shape
    assert images.abs().max() <= 1
    torch.testing.assert_close(ends, images[:2], atol=1e-4, rtol=0)


def test_images_come_back_or_encoding_is_declined(model: GenerativeModel, batch: Batch) -> None:
    if not model.capabilities.reconstruct:
        with pytest.raises(Unsupported):
            model.encode(batch.image)
        return
    with torch.no_grad():
        decoded = model.decode(model.encode(batch.image), batch.condition)
        rebuilt = model.reconstruct(batch.image, batch.condition)
    assert rebuilt.shape == batch.image.shape
    torch.testing.assert_close(rebuilt, decoded, atol=1e-4, rtol=0)


def test_versions_are_there_or_declined(model: GenerativeModel, batch: Batch) -> None:
    def vary(strength: float) -> torch.Tensor:
        with torch.no_grad():
            return model.variations(
                batch.image, batch.condition, strength=strength, noise=noise(batch, 3)
            )

    if not model.capabilities.variations:
        with pytest.raises(Unsupported):
            vary(0.5)
        return
    versions = vary(0.5)
    assert versions.shape == batch.image.shape
    assert versions.abs().max() <= 1
    assert torch.equal(versions, vary(0.5))
    if model.capabilities.reconstruct:
        with torch.no_grad():
            rebuilt = model.reconstruct(batch.image, batch.condition)
        torch.testing.assert_close(vary(0.0), rebuilt, atol=2e-4, rtol=0)


@pytest.mark.parametrize("kind", ["images", "captions"])
def test_ways_are_there_or_declined(model: GenerativeModel, batch: Batch, kind: str) -> None:
    images = batch.image if kind == "images" else None
    start, end = (
        Endpoint(
            batch.condition[rows], noise(batch)[rows], None if images is None else images[rows]
        )
        for rows in (slice(2), slice(4, 6))
    )

    def between() -> torch.Tensor:
        with torch.no_grad():
            return model.interpolate(start, end, SHAPE, 3)

    assert model.capabilities.interpolate <= {"images", "captions"}
    if kind not in model.capabilities.interpolate:
        with pytest.raises(Unsupported):
            between()
        return
    way = between()
    assert way.shape == (2, 3, *SHAPE)
    assert way.abs().max() <= 1
    assert torch.equal(way, between())


def test_edits_are_there_or_declined(model: GenerativeModel, batch: Batch) -> None:
    def textdiff() -> torch.Tensor:
        source, target = batch.condition[3:4], batch.condition[4:5]
        with torch.no_grad():
            return model.text_diff(
                batch.image[3:4], source, target, 3, strength=1.0, noise=noise(batch)[3:4]
            )

    if not model.capabilities.text_diff:
        with pytest.raises(Unsupported):
            textdiff()
        return
    way = textdiff()
    assert way.shape == (1, 3, *SHAPE)
    assert way.abs().max() <= 1
    assert torch.equal(way, textdiff())


def test_weights_survive_saving(
    model: GenerativeModel, fresh: GenerativeModel, batch: Batch, tmp_path: object
) -> None:
    path = f"{tmp_path}/weights.pt"
    torch.save(model.state_dict(), path)
    loaded = copy.deepcopy(fresh)
    loaded.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        torch.testing.assert_close(totals(loaded.eval(), batch), totals(model, batch))
        if model.capabilities.sampling is not None:
            torch.testing.assert_close(
                loaded.sample(batch.condition, SHAPE, noise=noise(batch)),
                model.sample(batch.condition, SHAPE, noise=noise(batch)),
            )


def test_what_a_model_recognises_is_a_share(model: GenerativeModel, batch: Batch) -> None:
    with torch.no_grad():
        found = model.scoring_metrics([(batch, noise(batch))])
    assert found or model.capabilities.sampling is not None  # a model is good for something
    for value in found.values():
        assert value.shape == (len(batch),)
        assert ((value >= 0) & (value <= 1)).all()


def test_capabilities_say_what_a_table_needs(fresh: GenerativeModel) -> None:
    assert isinstance(type(fresh).capabilities, Capabilities)
    judges = type(fresh).scoring_metrics is not GenerativeModel.scoring_metrics
    assert fresh.capabilities.sampling or judges  # it draws, or it recognises
    assert parameter_count(fresh) > 0


@pytest.mark.parametrize("name", groups()["model"])
def test_the_same_seed_gives_the_same_initial_weights(name: str) -> None:
    first, second = build_model(composed(name)), build_model(composed(name))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
