"""Versions, ways and edits of the families with a latent space."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genzoo.config.composition import compose
from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.models.base import Endpoint, GenerativeModel
from genzoo.models.latent import LatentModel
from genzoo.run.build import build_model

SHAPE = (3, 16, 16)
FAMILIES = ("autoencoder", "vae", "flow", "flow model.noise_std=0.1", "gan")
ENCODING = FAMILIES[:4]
READING = FAMILIES[1:4]


def noise(batch: Batch, *names: str) -> Noise:
    return Noise.of(7, batch.index, *names)


@pytest.fixture(scope="module")
def kept() -> dict[str, LatentModel]:
    return {}


@pytest.fixture
def model(
    request: pytest.FixtureRequest, kept: dict[str, LatentModel], batch: Batch
) -> LatentModel:
    """A family after a few steps, so that captions make a difference."""
    name: str = request.param
    if name not in kept:
        first, *others = name.split()
        model = build_model(compose(f"model={first}", "data.image_size=16", *others))
        assert isinstance(model, LatentModel)
        model.data_dependent_init(batch, noise=noise(batch))
        for objective in model.objectives().values():
            optimizer = torch.optim.Adam(objective.parameters, lr=3e-3)
            for step in range(5):
                optimizer.zero_grad()
                objective.losses(batch, noise=noise(batch, str(step))).total.mean().backward()
                optimizer.step()
        model.eval().requires_grad_(False)
        model.fit_sampling_prior([batch])
        kept[name] = model
    return kept[name]


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("model", ENCODING, indirect=True)
def test_versions_go_from_the_reconstruction_to_samples(model: LatentModel, batch: Batch) -> None:
    cond = batch.condition
    versions = {
        strength: model.variations(batch.image, cond, strength=strength, noise=noise(batch))
        for strength in (0.0, 0.3, 1.0)
    }
    rebuilt = model.reconstruct(batch.image, cond)
    close(versions[0.0], rebuilt)
    close(versions[1.0], model.sample(cond, SHAPE, noise=noise(batch)))
    other = model.variations(batch.image, cond, strength=0.3, noise=noise(batch, "other"))
    assert not torch.allclose(other, versions[0.3], atol=1e-3)
    near, far = ((versions[s] - rebuilt).square().mean() for s in (0.3, 1.0))
    assert 0 < near < far


@pytest.mark.parametrize("model", ENCODING, indirect=True)
def test_a_version_comes_from_its_own_stream(model: LatentModel, batch: Batch) -> None:
    cond = batch.condition
    whole = model.variations(batch.image, cond, strength=0.5, noise=noise(batch))
    part = model.variations(batch.image[2:4], cond[2:4], strength=0.5, noise=noise(batch)[2:4])
    torch.testing.assert_close(whole[2:4], part, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model", ["vae"], indirect=True)
def test_mixed_offsets_keep_the_variance(model: LatentModel, batch: Batch) -> None:
    cond = batch.condition
    many = cond[4:5].repeat(2000)
    features = model.encode_condition(many)
    drawn = [
        model.sample_residual(features, noise=Noise.of(seed, range(2000))) for seed in range(2)
    ]
    mixed = math.sqrt(1 - 0.6**2) * drawn[0] + 0.6 * drawn[1]
    torch.testing.assert_close(mixed.std(0), drawn[0].std(0), atol=0, rtol=0.12)


@pytest.mark.parametrize("model", ENCODING, indirect=True)
def test_ways_between_images_end_at_their_reconstructions(
    model: LatentModel, batch: Batch
) -> None:
    start, end = (Endpoint(batch.condition[p], noise(batch)[p], batch.image[p]) for p in HALVES)
    way = model.interpolate(start, end, SHAPE, 5)
    assert way.shape == (3, 5, *SHAPE)
    for place, found in ((start, way[:, 0]), (end, way[:, -1])):
        assert place.images is not None
        close(found, model.reconstruct(place.images, place.cond))
    steps = (way[:, 1:] - way[:, :-1]).square().flatten(2).mean(2)
    assert (steps > 0).all()


HALVES = (slice(0, 3), slice(3, 6))


@pytest.mark.parametrize("model", FAMILIES[1:], indirect=True)
def test_ways_between_captions_end_at_samples(model: LatentModel, batch: Batch) -> None:
    own = noise(batch)[HALVES[0]]  # the same at both ends
    start, end = (Endpoint(batch.condition[part], own) for part in HALVES)
    way = model.interpolate(start, end, SHAPE, 4)
    for place, found in ((start, way[:, 0]), (end, way[:, -1])):
        close(found, model.sample(place.cond, SHAPE, noise=place.noise[:]))
    assert (way[:, -1] - way[:, 0]).abs().max() > 1e-4


@pytest.mark.parametrize("model", READING, indirect=True)
def test_an_edit_begins_with_the_reconstruction_and_follows_the_caption(
    model: LatentModel, batch: Batch
) -> None:
    source, target = batch.condition[3:4], batch.condition[4:5]
    image, own = batch.image[3:4], noise(batch)[3:4]
    way = model.text_diff(image, source, target, 3, strength=1.0, noise=own)
    close(way[:, 0], model.reconstruct(image, source))
    assert (way[:, 2] - way[:, 0]).abs().max() > 1e-4
    half = model.text_diff(image, source, target, 2, strength=0.5, noise=own)
    close(half[:, 1], way[:, 1])
    same = model.text_diff(image, source, source, 2, strength=1.0, noise=own)
    torch.testing.assert_close(same[:, 1], same[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", ["flow"], indirect=True)
def test_a_flow_finds_the_noise_again(model: LatentModel, batch: Batch) -> None:
    features = model.encode_condition(batch.condition)
    own = model.residual_latent(batch.image, features)
    again = model.residual_latent(model.from_residual(own, features), features)
    torch.testing.assert_close(again, own, atol=1e-2, rtol=0)


@pytest.mark.parametrize("model", ["flow"], indirect=True)
def test_guidance_of_given_images_is_refused(model: LatentModel, batch: Batch) -> None:
    cond, guided = batch.condition, ClassifierFree(2.0)
    place = Endpoint(cond, noise(batch), batch.image)
    with pytest.raises(Unsupported, match="guidance=none"):
        model.variations(batch.image, cond, strength=0.5, noise=noise(batch), guidance=guided)
    with pytest.raises(Unsupported, match="guidance=none"):
        model.interpolate(place, place, SHAPE, 2, guidance=guided)
    drawn = Endpoint(cond, noise(batch))
    way = model.interpolate(drawn, drawn, SHAPE, 2, guidance=guided)
    close(way[:, 0], model.sample(cond, SHAPE, noise=noise(batch), guidance=guided))


@pytest.mark.parametrize("model", ["autoencoder", "gan"], indirect=True)
def test_what_a_family_lacks_is_declined(model: GenerativeModel, batch: Batch) -> None:
    with pytest.raises(Unsupported, match="by captions"):
        model.text_diff(
            batch.image, batch.condition, batch.condition, 2, strength=1.0, noise=noise(batch)
        )
