"""A text-conditional GAN in the spirit of R3GAN (Huang et al., arXiv 2501.05441).

Two residual networks without normalisation are trained with a relativistic loss and gradient
penalties on real and on generated images (R1, R2). The generator is conditioned on the output of a
text encoder; the discriminator projects its features onto those of the caption (Miyato & Koyama,
arXiv 1802.05637) and learns to reject real images with mismatched captions (Reed et al., arXiv
1605.05396).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.adversarial.augment import Augmentation
from genzoo.adversarial.losses import LOSSES, discriminator_accuracy
from genzoo.adversarial.penalties import one_centred, zero_centred
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import full
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.base import identity
from genzoo.models.latent import LatentModel
from genzoo.nn.residual import (
    GAIN,
    SLOPE,
    ResidualDiscriminator,
    ResidualGenerator,
    ResidualShape,
    scaled_,
)
from genzoo.text.encoder import TextEncoder


class Generator(nn.Module):
    """The generator: from a latent and a caption to an image.

    Args:
        latent: dimensions of the latent.
        features: size of the vector that latent and caption are mapped to.
        text: arguments of the `TextEncoder`.
        shape: of its network.
    """

    def __init__(
        self, shape: ResidualShape, *, latent: int, features: int, text: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.text = TextEncoder(**text)
        self.mapping = nn.Sequential(
            nn.Linear(latent + text["width"], features),
            nn.LeakyReLU(SLOPE),
            nn.Linear(features, features),
            nn.LeakyReLU(SLOPE),
        )
        for layer in self.mapping:
            if isinstance(layer, nn.Linear):
                scaled_(layer.weight, gain=GAIN)
        self.network = ResidualGenerator(shape, features=features)

    def forward(
        self, latent: Float[Tensor, "b z"], caption: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b c h w"]:
        """Images in [-1, 1]; `caption` is the text encoder's pooled feature.

        They are bounded by tanh, whose saturation gives flat backgrounds; R3GAN has no bound, and
        residual noise stays in flat backgrounds for long.
        """
        image: Tensor = self.network(self.mapping(torch.cat([latent, caption], dim=1)))
        return image.tanh()


class Discriminator(nn.Module):
    """The discriminator: from images and captions to scores.

    Args:
        text: arguments of its own `TextEncoder`.
        bias: whether the loss depends on the zero of the score.
        shape: of its network.
    """

    def __init__(self, shape: ResidualShape, *, text: Mapping[str, Any], bias: bool) -> None:
        super().__init__()
        self.text = TextEncoder(**text)
        self.network = ResidualDiscriminator(shape)
        width = shape.widths[-1]
        self.realism = nn.Linear(width, 1, bias=bias)
        self.match = nn.Linear(text["width"], width)

    def forward(
        self, images: Float[Tensor, "b c h w"], caption: Float[Tensor, "b d"]
    ) -> Float[Tensor, " b"]:
        """One score an image: how real it is and how well it fits its caption."""
        return self.score(self.network(images), caption)

    def score(
        self, features: Float[Tensor, "b k"], caption: Float[Tensor, "b d"]
    ) -> Float[Tensor, " b"]:
        """Scores from the network's features, which several captions may share."""
        with full(features):
            features = features.float()
            fit = (features * self.match(caption.float())).sum(1) / math.sqrt(features.shape[1])
            score: Tensor = self.realism(features)[:, 0] + fit
        return score


class GAN(LatentModel, AdversarialModel):
    """Generator, discriminator and their losses.

    Args:
        image_size: height and width of the images: patch * 2 ** (len(widths) - 1) times a whole
            number, for both networks.
        latent: dimensions of the latent.
        features: size of the vector that latent and caption are mapped to.
        generator: `widths` and `blocks` of its network.
        discriminator: the same for the discriminator.
        expansion: of every block, see `GroupedBlock`.
        group: of every block, see `GroupedBlock`.
        patch: pixels along each side of one position of the largest feature map.
        text: arguments of both `TextEncoder`s.
        loss: one of `LOSSES`.
        r1: weight of the zero-centred gradient penalty on real images.
        r2: weight of the same on generated images.
        gradient_penalty: weight of the one-centred penalty on interpolations between them.
        penalty_share: share of a batch on which the penalties are computed, without bias.
        mismatched: weight of the loss on real images with mismatched captions.
        augmentation: arguments of the `Augmentation`.
        truncation: largest absolute value in the latent of a sample; None for none.
        channels: of the images.
    """

    capabilities = Capabilities(
        sampling="generator at a Gaussian point, given the caption",
        conditions=frozenset({"text"}),
        latent=True,
        interpolate=frozenset({"captions"}),
        strategies=frozenset({"auto", "ddp"}),
    )
    generator: Generator
    discriminator: Discriminator

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        patch = settings["patch"]
        if patch > 1 and patch % 2:
            raise UsageError(
                f"model.patch={patch} cannot overlap its neighbours by half", "write 1, 2 or 4"
            )

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        levels = max(len(settings[side]["widths"]) for side in ("generator", "discriminator"))
        return int(settings["patch"] * 2 ** (levels - 1))

    @classmethod
    def check_batches(
        cls, settings: Mapping[str, Any], *, batch: int, accumulate: int, processes: int
    ) -> None:
        if settings["mismatched"] and batch < 2 * processes:
            raise UsageError(
                f"optimizer.batch_size={batch} leaves no other caption in a process's batch, "
                "which model.mismatched is about",
                f"write optimizer.batch_size={2 * processes} or more, or model.mismatched=0",
            )

    def __init__(
        self,
        *,
        image_size: int,
        latent: int,
        features: int,
        generator: Mapping[str, Any],
        discriminator: Mapping[str, Any],
        expansion: int,
        group: int,
        patch: int,
        text: Mapping[str, Any],
        loss: str,
        r1: float,
        r2: float,
        gradient_penalty: float,
        penalty_share: float,
        mismatched: float,
        augmentation: Mapping[str, Any],
        truncation: float | None,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise UsageError(f"there is no model.loss={loss}", f"use one of {', '.join(LOSSES)}")
        self.loss = LOSSES[loss]
        self.latent, self.truncation = latent, truncation
        self.r1, self.r2, self.gradient_penalty = r1, r2, gradient_penalty
        self.penalty_share, self.mismatched = penalty_share, mismatched
        shape = partial(
            ResidualShape,
            image_size=image_size,
            channels=channels,
            expansion=expansion,
            group=group,
            patch=patch,
        )
        self.generator = Generator(shape(**generator), latent=latent, features=features, text=text)
        bias = self.loss.boundary is not None
        self.discriminator = Discriminator(shape(**discriminator), text=text, bias=bias)
        self.augmentation = Augmentation(**augmentation)

    def generate(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b c h w"]:
        latent = noise.child("latent").normal(self.latent)
        return self.decode(latent, cond)

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        return self.sample_residual(self.encode_condition(cond), noise=noise)

    def decode(self, latent: Float[Tensor, "b d"], cond: Condition) -> Float[Tensor, "b c h w"]:
        return self.from_residual(latent, self.encode_condition(cond))

    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        return self.generator.text.pooled(cond)

    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """Declined, as `encode` is."""
        return self.encode(images)

    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        """Normal numbers, or none beyond `truncation` (BigGAN, arXiv 1809.11096, section 3.1)."""
        if self.truncation is None:
            return noise.normal(self.latent)
        # The normal distribution's inverse at uniform numbers between the two cuts.
        end = math.erf(self.truncation / math.sqrt(2))
        uniform = end * (2 * noise.uniform(self.latent).double() - 1)
        return (math.sqrt(2) * torch.erfinv(uniform)).float()

    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        images: Tensor = self.generator(residual, features)
        return images

    def discriminator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        d = self.discriminator
        real = self.augmentation(batch.image, noise=noise.child("augment real"))
        fake = self.augmentation(generated, noise=noise.child("augment generated"))
        caption = d.text.pooled(batch.condition)
        # One pass over both: twice the work in one set of kernels.
        features_real, features_fake = d.network(torch.cat([real, fake])).chunk(2)
        score_real, score_fake = d.score(features_real, caption), d.score(features_fake, caption)
        game = self.loss.discriminator(score_real, score_fake)
        # The neighbour's caption, if it differs.
        other = (batch.tokens != batch.tokens.roll(1, 0)).any(1)
        score_other = d.score(features_real, caption.roll(1, 0))
        mismatch = self.loss.discriminator(score_real, score_other) * other
        penalty = self._penalty(real, fake, caption.detach(), noise)
        right_real, right_fake = discriminator_accuracy(score_real, score_fake, self.loss.boundary)
        return Losses(
            total=game + self.mismatched * mismatch + penalty,
            parts={
                "loss": game,
                "mismatch": mismatch,
                "penalty": penalty,
                "score_real": score_real,
                "score_generated": score_fake,
                "accuracy_real": right_real,
                "accuracy_generated": right_fake,
                "overfitting": 2 * right_real - 1,
            },
        )

    def generator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        d = self.discriminator
        fake = self.augmentation(generated, noise=noise.child("augment generated again"))
        with torch.no_grad():
            caption = d.text.pooled(batch.condition)
            real = self.augmentation(batch.image, noise=noise.child("augment real again"))
            score_real = d(real, caption)
        game = self.loss.generator(score_real, d(fake, caption))
        return Losses(total=game, parts={"loss": game})

    def adapt(self, parts: Mapping[str, Tensor], *, images: int) -> None:
        self.augmentation.adapt(parts["overfitting"], images=images)

    def _penalty(
        self, real: Tensor, fake: Tensor, caption: Tensor, noise: Noise
    ) -> Float[Tensor, " b"]:
        """The penalties on a share of the batch, weighted so that the batch's mean is unbiased."""
        batch = len(real)
        count = max(1, round(self.penalty_share * batch))
        real, fake, caption = real[:count].float(), fake[:count].float(), caption[:count].float()

        def score(images: Tensor) -> Tensor:
            scores: Tensor = self.discriminator(images, caption.repeat(len(images) // count, 1))
            return scores

        value = torch.zeros(count, device=real.device)
        with full(real):  # the slope is a gradient that no scaler keeps from underflowing
            if self.r1 or self.r2:
                on_real, on_fake = zero_centred(score, torch.cat([real, fake])).chunk(2)
                value = self.r1 * on_real + self.r2 * on_fake
            if self.gradient_penalty:
                weight = noise[:count].child("between").uniform()
                value = value + self.gradient_penalty * one_centred(score, real, fake, weight)
        return F.pad(value * (batch / count), (0, batch - count))
