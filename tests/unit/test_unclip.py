"""unCLIP: prior and decoder, apart and together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genzoo.config.composition import compose
from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Condition
from genzoo.diffusion.guidance import Classifier, ClassifierFree, LogLikelihood
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.prior_network import PriorCondition
from genzoo.diffusion.sampler import ddim_inversion, final
from genzoo.diffusion.sampling import Sampling
from genzoo.models import manipulation
from genzoo.models.base import Endpoint, identity
from genzoo.models.manipulation import INVERSION
from genzoo.models.unclip import UnCLIP
from genzoo.run.build import build_model

SHAPE = (3, 16, 16)
FAST = ("data.image_size=16", "model.prior.steps=4", "sampler.steps=2")


def unclip(*overrides: str) -> UnCLIP:
    model = build_model(compose("model=unclip", *FAST, *overrides))
    assert isinstance(model, UnCLIP)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if not parameter.any():  # what starts at zero would hide what it is told
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many steps there are from a given image and back, where accuracy is not asked for."""
    monkeypatch.setattr(manipulation, "INVERSION", 6)
    return manipulation.INVERSION


@pytest.fixture(scope="module")
def both() -> UnCLIP:
    return unclip()


def noise(batch: Batch) -> Noise:
    return Noise.of(0, batch.index)


@torch.no_grad()
def test_the_better_of_two_draws_is_kept(both: UnCLIP, batch: Batch) -> None:
    condition = both._prior_condition(batch.condition)
    best = both.prior.sample(condition, noise=noise(batch))
    each = torch.stack(
        [both.prior._sample_once(condition, noise=noise(batch).child("draw", k)) for k in range(2)]
    )
    fits = F.cosine_similarity(each, condition.embedding[None], dim=2)
    assert (fits[0] != fits[1]).all()
    torch.testing.assert_close(F.cosine_similarity(best, condition.embedding), fits.amax(0))
    features = condition.embedding.shape[1]
    torch.testing.assert_close(best.norm(dim=1), torch.full((6,), features**0.5))


def test_embeddings_of_given_images_are_exact(both: UnCLIP, batch: Batch) -> None:
    before = both.embed(batch.image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(both.embed(batch.image), before)


@torch.no_grad()
def test_a_caption_left_out_says_nothing(both: UnCLIP, batch: Batch) -> None:
    network, z = both.prior.network, torch.randn(6, 128, 1, 1)
    times = torch.full((6,), 500)
    condition = both._prior_condition(batch.condition)
    turned = both._prior_condition(
        replace(batch.condition, tokens=batch.tokens.flip(0), token_mask=batch.token_mask.flip(0))
    )
    assert not torch.allclose(network(z, times, condition), network(z, times, turned), atol=1e-4)
    torch.testing.assert_close(
        network(z, times, condition.unconditional()), network(z, times, turned.unconditional())
    )


def test_said_rows_are_joined() -> None:
    one = PriorCondition(
        torch.ones(2, 3, 4), torch.ones(2, 3).bool(), torch.ones(2, 5), torch.ones(2, 1)
    )
    both = one.cat(one.unconditional())
    assert both.tokens.shape == (4, 3, 4)
    assert both.kept.flatten().tolist() == [1, 1, 0, 0]


@torch.no_grad()
def test_the_embedding_decides_what_is_drawn(both: UnCLIP, batch: Batch) -> None:
    cond = both.with_embedding(batch.condition, batch.image)
    other = replace(cond, embedding=cond.embedding.flip(0))

    def drawn(given: Any, scale: float = 1.0) -> Tensor:
        return both.sample(given, SHAPE, noise=noise(batch), guidance=ClassifierFree(scale))

    first = drawn(cond)
    assert not torch.allclose(first, drawn(other), atol=1e-3)
    assert torch.equal(first, drawn(cond))
    assert not torch.allclose(first, drawn(cond, 3.0), atol=1e-3)


@torch.no_grad()
def test_samples_go_by_what_the_prior_imagines(both: UnCLIP, batch: Batch) -> None:
    sampled = both.sample_embedding(batch.condition, noise=noise(batch))
    given = replace(batch.condition, embedding=sampled)
    torch.testing.assert_close(
        both.sample(batch.condition, SHAPE, noise=noise(batch)),
        both.sample(given, SHAPE, noise=noise(batch)),
    )


def test_each_stage_trains_alone(batch: Batch) -> None:
    for stage, idle in (("prior", "decoder"), ("decoder", "prior")):
        model = unclip(f"model.stage={stage}")
        losses = model.losses(batch, noise=noise(batch))
        assert {name.partition("/")[0] for name in losses.parts} == {stage}
        losses.total.mean().backward()
        for name, parameter in model.named_parameters():
            learns = name.startswith(f"{stage}.")
            assert (parameter.grad is not None) == learns == parameter.requires_grad, name
        assert not any(p.requires_grad for p in getattr(model, idle).parameters())


def test_a_part_alone_says_what_it_lacks(batch: Batch) -> None:
    prior, decoder = unclip("model.stage=prior"), unclip("model.stage=decoder")
    assert prior.capabilities.sampling is None
    with pytest.raises(Unsupported, match="embeddings, not images"):
        prior.sample(batch.condition, SHAPE, noise=noise(batch))
    found = prior.scoring_metrics([(batch, noise(batch))])
    assert set(found) == {"prior_recall_at_1", "prior_recall_at_5", "prior_recall_at_10"}

    assert "embedding" in decoder.capabilities.conditions
    with pytest.raises(Unsupported, match="without a prior"):
        decoder.sample(batch.condition, SHAPE, noise=noise(batch))
    cond = decoder.with_embedding(batch.condition, batch.image)
    assert decoder.sample(cond, SHAPE, noise=noise(batch)).shape == batch.image.shape
    whole = unclip("model.stage=decoder", "model.before=[prior]")
    assert whole.capabilities.conditions == frozenset({"text"})


@torch.no_grad()
def test_what_was_never_trained_draws_nothing(batch: Batch) -> None:
    prior, decoder = unclip("model.stage=prior"), unclip("model.stage=decoder")
    rows, own = batch.condition[:2], Noise.of(0, batch.index)[:2]
    images = batch.image[:2]
    captions, pictures = Endpoint(rows, own), Endpoint(rows, own, images)
    for call in (
        lambda: prior.variations(images, rows, strength=0.5, noise=own),
        lambda: prior.text_diff(images, rows, rows, 2, strength=1.0, noise=own),
        lambda: prior.interpolate(pictures, pictures, SHAPE, 2),
    ):
        with pytest.raises(Unsupported, match="embeddings, not images"):
            call()
    with pytest.raises(Unsupported, match="without a prior"):
        decoder.interpolate(captions, captions, SHAPE, 2)
    assert decoder.interpolate(pictures, pictures, SHAPE, 2).shape == (2, 2, *SHAPE)
    assert not prior.capabilities.variations
    assert decoder.capabilities.interpolate == {"images"}


def test_known_embeddings_are_looked_up(batch: Batch) -> None:
    model = unclip()
    before = model.losses(batch, noise=noise(batch)).total
    known = torch.zeros(16, 128, dtype=torch.float16)
    known[batch.index] = model.embed(batch.image).half()
    model.known = known
    after = model.losses(batch, noise=noise(batch)).total
    torch.testing.assert_close(before, after, rtol=0.01, atol=0.01)
    model.known = torch.zeros_like(known)
    assert not torch.allclose(before, model.losses(batch, noise=noise(batch)).total, rtol=0.01)


def test_clip_stays_as_it_is(both: UnCLIP) -> None:
    assert not any(p.requires_grad for p in both.clip.parameters())
    assert not both.train().clip.training
    assert both.prior.training
    both.eval()


@torch.no_grad()
def test_a_way_between_captions_ends_in_their_samples(
    both: UnCLIP, batch: Batch, few_steps: int
) -> None:
    before, both.sampler = both.sampler, Sampling("ddim", steps=few_steps)
    rows = slice(4, 6)
    ends = [Endpoint(batch.condition[rows], Noise.of(k, batch.index)[rows]) for k in range(2)]
    way = both.interpolate(ends[0], ends[1], SHAPE, 3)
    for k, end in ((0, ends[0]), (2, ends[1])):
        drawn = both.sample(end.cond, SHAPE, noise=end.noise)
        torch.testing.assert_close(way[:, k], drawn, atol=1e-4, rtol=0)
    both.sampler = before


@pytest.mark.usefixtures("few_steps")
@torch.no_grad()
def test_a_version_without_strength_has_no_chance_in_it(both: UnCLIP, batch: Batch) -> None:
    def version(strength: float, seed: int) -> Tensor:
        return both.variations(
            batch.image, batch.condition, strength=strength, noise=Noise.of(seed, batch.index)
        )

    assert torch.equal(version(0.0, 1), version(0.0, 2))
    assert not torch.allclose(version(0.5, 1), version(0.5, 2), atol=1e-3)


@pytest.mark.usefixtures("few_steps")
@torch.no_grad()
def test_nothing_guides_away_from_a_given_image(both: UnCLIP, batch: Batch) -> None:
    rows, own, images = batch.condition[:2], Noise.of(0, batch.index)[:2], batch.image[:2]
    strong = ClassifierFree(5.0)

    def versions(strength: float, guidance: Any) -> Tensor:
        return both.variations(images, rows, strength=strength, noise=own, guidance=guidance)

    still = versions(0.0, identity)
    torch.testing.assert_close(versions(0.0, strong), still)
    assert not torch.allclose(versions(1.0, strong), versions(1.0, identity), atol=1e-3)
    picture = Endpoint(rows, own, images)
    other = Endpoint(rows, own, images.flip(0))
    way = both.interpolate(picture, other, SHAPE, 3, guidance=strong)
    torch.testing.assert_close(way, both.interpolate(picture, other, SHAPE, 3))
    torch.testing.assert_close(way[:, 0], still, atol=1e-4, rtol=0)
    edit = [
        both.text_diff(images, rows, batch.condition[2:4], 3, strength=1.0, noise=own, guidance=g)
        for g in (identity, strong)
    ]
    torch.testing.assert_close(edit[0][:, 0], edit[1][:, 0])
    assert not torch.allclose(edit[0][:, 2], edit[1][:, 2], atol=1e-3)


@pytest.mark.usefixtures("few_steps")
@torch.no_grad()
def test_a_scorer_is_asked_for_where_the_way_leads(both: UnCLIP, batch: Batch) -> None:
    asked: list[tuple[str, ...]] = []

    class Scorer:
        noise_aware = True

        def log_likelihood(self, cond: Condition) -> LogLikelihood:
            asked.append(cond.caption)
            return lambda images, level: images.flatten(1).sum(1)

    one, other, own = batch.condition[:1], batch.condition[1:2], Noise.of(0, batch.index)[:1]
    guidance = Classifier(Scorer(), 1.0)
    both.text_diff(batch.image[:1], one, other, 2, strength=1.0, noise=own, guidance=guidance)
    assert asked == [one.caption, other.caption] * 2
    asked.clear()
    both.interpolate(Endpoint(one, own), Endpoint(other, own), SHAPE, 2, guidance=guidance)
    assert asked == [one.caption, other.caption] * 2


@pytest.mark.usefixtures("few_steps")
@torch.no_grad()
def test_the_difference_of_captions_turns_the_embedding(both: UnCLIP, batch: Batch) -> None:
    one, other = batch.condition[3:4], batch.condition[4:5]

    def way(target: Any, strength: float = 1.0) -> Tensor:
        noise = Noise.of(0, batch.index)[3:4]
        return both.text_diff(batch.image[3:4], one, target, 3, strength=strength, noise=noise)[0]

    there = way(other)
    assert not torch.allclose(there[0], there[2], atol=1e-3)
    torch.testing.assert_close(there[1], way(other, 0.5)[2])
    for picture in way(one)[1:]:  # the same caption changes nothing
        torch.testing.assert_close(picture, there[0], atol=1e-4, rtol=0)


def test_an_image_comes_back_from_its_noise(batch: Batch) -> None:
    """DDIM there and back, with a network that says little but not nothing."""
    decoder = unclip().decoder
    cond = replace(batch.condition, embedding=torch.zeros(6, 128))
    decoder.sampler = Sampling("ddim", steps=INVERSION)
    torch.nn.init.normal_(decoder.network.unet.out.weight, std=1e-3)
    with torch.no_grad():
        first = decoder.sample_from(cond, SHAPE, noise=noise(batch))
        start = decoder.invert(cond, first, steps=INVERSION)
        again = decoder.sample_from(cond, SHAPE, noise=noise(batch), start=start)
    torch.testing.assert_close(again, first, atol=0.02, rtol=0)


@pytest.mark.parametrize("process", ["direct", "discrete", "rectified_flow", "edm"])
def test_noise_that_leads_to_an_image_is_of_the_size_of_noise(process: str, batch: Batch) -> None:
    """Also where the network is somewhat wrong about an image without noise."""
    decoder = unclip(f"model/process@model.decoder.process={process}").decoder
    schedule = decoder.process.schedule(INVERSION)
    wrong = 0.06 * torch.randn(batch.image.shape, generator=torch.Generator().manual_seed(0))

    def denoise(x_t: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        return Prediction(batch.image + wrong, x_t, level.alpha, level.sigma)

    noise = final(ddim_inversion(denoise, batch.image, schedule))
    assert 0.3 < float(noise.std()) < 1.5
