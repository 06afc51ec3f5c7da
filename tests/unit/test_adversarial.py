"""The game's losses, penalties and augmentation, each against what is known of it."""

from __future__ import annotations

import math

import pytest
import torch

from genzoo.adversarial.augment import LARGEST, Augmentation
from genzoo.adversarial.losses import LOSSES, discriminator_accuracy
from genzoo.adversarial.penalties import one_centred, zero_centred
from genzoo.config.composition import compose
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.models.gan import GAN
from genzoo.run.build import build_model


def slopes(side: str, name: str, real: float, generated: float) -> tuple[float, float]:
    """Derivatives of a side's loss by the two scores."""
    scores = [torch.tensor([value], requires_grad=True) for value in (real, generated)]
    getattr(LOSSES[name], side)(*scores).sum().backward()
    return tuple(0.0 if s.grad is None else s.grad.item() for s in scores)  # type: ignore[return-value]


@pytest.mark.parametrize("name", LOSSES)
def test_the_sides_pull_scores_apart_and_together(name: str) -> None:
    on_real, on_generated = slopes("discriminator", name, 0.3, 0.2)
    assert on_real < 0 < on_generated  # descending raises real scores and lowers generated ones
    assert slopes("generator", name, 0.3, 0.2)[1] < 0


def test_a_relativistic_loss_sees_differences_alone() -> None:
    real, generated = torch.randn(5), torch.randn(5)
    loss = LOSSES["relativistic"]
    for side in (loss.discriminator, loss.generator):
        torch.testing.assert_close(side(real, generated), side(real + 7, generated + 7))
    level = loss.discriminator(real, real)
    torch.testing.assert_close(level, torch.full((5,), math.log(2.0)))


def test_the_non_saturating_loss_is_binary_cross_entropy() -> None:
    real, generated = torch.randn(6), torch.randn(6)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.ones(6), reduction="none") + entropy(
        generated, torch.zeros(6), reduction="none"
    )
    torch.testing.assert_close(LOSSES["non_saturating"].discriminator(real, generated), expected)


def test_least_squares_and_hinge_are_still_where_they_want_to_be() -> None:
    one, zero = torch.ones(1), torch.zeros(1)
    assert LOSSES["least_squares"].discriminator(one, zero).item() == 0
    assert LOSSES["hinge"].discriminator(2 * one, -2 * one).item() == 0


def test_verdicts_count_who_is_right() -> None:
    real, generated = torch.tensor([2.0, -1.0]), torch.tensor([0.0, -3.0])
    assert [v.tolist() for v in discriminator_accuracy(real, generated, 0.0)] == [[1, 0], [0, 1]]
    # relativistic: against the means -1.5 and 0.5
    assert [v.tolist() for v in discriminator_accuracy(real, generated, None)] == [[1, 1], [1, 1]]


def test_penalties_of_a_linear_score_are_its_slope() -> None:
    direction = torch.randn(3, 4, 4)

    def score(images: torch.Tensor) -> torch.Tensor:
        return (images * direction).sum((1, 2, 3))

    images, others = torch.randn(2, 5, 3, 4, 4).unbind()
    square = direction.square().sum()
    torch.testing.assert_close(zero_centred(score, images), (0.5 * square).expand(5))
    expected = (square.sqrt() - 1).square().expand(5)
    torch.testing.assert_close(one_centred(score, images, others, torch.rand(5)), expected)


def test_a_penalty_can_be_learned_from_and_watched() -> None:
    layer = torch.nn.Linear(12, 1)
    images = torch.randn(4, 3, 2, 2)

    def score(x: torch.Tensor) -> torch.Tensor:
        return layer(x.flatten(1))[:, 0].tanh()

    zero_centred(score, images).mean().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()
    with torch.no_grad():
        watched = zero_centred(score, images)
    assert not watched.requires_grad
    assert (watched > 0).all()


def augmentation(mode: str, probability: float = 0.0) -> Augmentation:
    return Augmentation(mode=mode, probability=probability, target=0.6, images=100)  # type: ignore[arg-type]


def test_augmentation_changes_its_share_and_lets_gradients_through() -> None:
    noise = Noise.of(0, range(400))
    images = torch.rand(400, 3, 8, 8).requires_grad_()
    assert augmentation("none")(images, noise=noise) is images
    changed = augmentation("fixed", 0.5)(images, noise=noise)
    same = (changed == images).flatten(1).all(1).float().mean().item()
    assert same == pytest.approx(0.5**3, abs=0.06)  # three changes, each with probability 1/2
    changed.sum().backward()
    assert images.grad is not None
    assert images.grad.flatten(1).any(1).all()
    again = augmentation("fixed", 0.5)(images, noise=Noise.of(0, range(400)))
    assert torch.equal(changed, again)


def test_adaptive_augmentation_follows_the_signal() -> None:
    follower = augmentation("adaptive")
    follower.adapt(torch.tensor(0.9), images=30)
    assert follower.probability.item() == pytest.approx(0.3)
    follower.adapt(torch.tensor(0.1), images=10)
    assert follower.probability.item() == pytest.approx(0.2)
    follower.adapt(torch.tensor(0.9), images=10_000)
    assert follower.probability.item() == pytest.approx(LARGEST)
    still = augmentation("fixed", 0.3)
    still.adapt(torch.tensor(0.9), images=30)
    assert still.probability.item() == pytest.approx(0.3)


def gan(*overrides: str) -> GAN:
    cfg = compose("model=gan", "data.image_size=16", *overrides)
    model = build_model(cfg)
    assert isinstance(model, GAN)
    return model


def test_truncation_cuts_the_tails_of_the_latent_point(batch: Batch) -> None:
    noise = Noise.of(0, batch.index)
    free = gan("model.latent=512").sample_latent(batch.condition, noise=noise)
    cut = gan("model.latent=512", "model.truncation=0.7").sample_latent(
        batch.condition, noise=noise
    )
    assert free.abs().max() > 2
    assert cut.abs().max() <= 0.7
    # variance of the normal distribution between -a and a: 1 - 2 a phi(a) / (2 Phi(a) - 1)
    a = 0.7
    density = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
    expected = 1 - 2 * a * density / math.erf(a / math.sqrt(2))
    assert cut.var().item() == pytest.approx(expected, rel=0.05)


def test_the_penalty_on_a_share_counts_for_the_whole_batch(batch: Batch) -> None:
    whole, share = gan("model.penalty_share=1.0"), gan("model.penalty_share=0.5")
    noise = Noise.of(0, batch.index)
    generated = whole.generate(batch.condition, noise=noise).detach()
    parts = [
        model.discriminator_losses(batch, generated, noise=noise).parts["penalty"].detach()
        for model in (whole, share)
    ]
    half = len(batch) // 2
    torch.testing.assert_close(parts[1][:half], 2 * parts[0][:half])
    assert not parts[1][half:].any()


def test_the_discriminator_is_told_of_mismatched_captions(batch: Batch) -> None:
    model = gan()
    losses = model.objectives()["discriminator"].losses(batch, noise=Noise.of(0, batch.index))
    other = (batch.tokens != batch.tokens.roll(1, 0)).any(1)
    assert other.any()
    assert torch.equal(losses.parts["mismatch"] > 0, other)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_gives_both_sides_a_gradient(batch: Batch, name: str) -> None:
    model = gan(f"model.loss={name}", "model.gradient_penalty=1.0")
    for objective in model.objectives().values():
        model.zero_grad()
        objective.losses(batch, noise=Noise.of(0, batch.index)).total.mean().backward()
        for parameter in objective.parameters:
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


def test_what_cannot_be_built_is_said() -> None:
    with pytest.raises(UsageError, match="relativistic"):
        gan("model.loss=cross_entropy")
    with pytest.raises(UsageError, match="divisible by 32"):
        gan("model.generator.widths=[8,8,8,8,8]")
