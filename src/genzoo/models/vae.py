"""A variational autoencoder whose prior is conditioned on the caption.

Kingma & Welling, arXiv 1312.6114; the conditional prior as in Sohn et al. (NeurIPS 2015); the
discretised logistic likelihood as in Kingma et al. (arXiv 1606.04934), which also has free bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.models.base import identity
from genzoo.models.latent import LatentModel
from genzoo.nn.conv import ConvDecoder, ConvEncoder
from genzoo.text.encoder import TextEncoder


class VAE(LatentModel):
    """Convolutional VAE: q(z | image), p(z | caption), p(image | z, caption).

    Args:
        image_size: height and width of the images, divisible by 2 ** len(widths).
        latent: dimensions of z.
        widths: channels at 1/2, 1/4 ... of the image's size.
        blocks: residual blocks at each size, in the encoder and in the decoder.
        text: arguments of the `TextEncoder`.
        beta: weight of the KL divergence in training (1 is the ELBO).
        free_bits: KL divergence of a latent dimension, in bits on average over a batch, without
            penalty.
        channels: of the images.
    """

    capabilities = Capabilities(
        sampling="prior given the caption",
        conditions=frozenset({"text"}),
        likelihood="bound",
        reconstruct=True,
        latent=True,
        variations=True,
        interpolate=frozenset({"images", "captions"}),
        text_diff=True,
    )

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        return int(2 ** len(settings["widths"]))

    def __init__(
        self,
        *,
        image_size: int,
        latent: int,
        widths: Sequence[int],
        blocks: int,
        text: Mapping[str, Any],
        beta: float,
        free_bits: float,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.beta, self.free_nats = beta, free_bits * math.log(2.0)
        self.latent = latent
        self.small = (widths[-1], image_size >> len(widths), image_size >> len(widths))
        flat, width = math.prod(self.small), text["width"]
        self.text = TextEncoder(**text)
        self.prior = nn.Sequential(
            nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 2 * latent)
        )
        self.encoder = ConvEncoder(channels=channels, widths=widths, blocks=blocks)
        self.posterior = nn.Linear(flat, 2 * latent)
        self.from_latent = nn.Linear(latent, flat)
        self.decoder = ConvDecoder(channels=channels, widths=widths, blocks=blocks, features=width)
        # One learned scale of the likelihood a channel: it balances the two terms of the ELBO
        # without a weight (sigma-VAE, arXiv 2006.13202).
        self.log_scale = nn.Parameter(torch.full((channels, 1, 1), -2.0))
        prior_out = self.prior[-1]
        assert isinstance(prior_out, nn.Linear)
        for layer in (prior_out, self.posterior):
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=1e-2)

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        log_p, kl_bd = self._terms(batch, noise)
        kept = kl_bd.mean(0) > self.free_nats  # free bits: dimensions below are not penalised
        kl = torch.where(kept, kl_bd, self.free_nats).sum(1)
        scale = 1.0 / (math.log(2.0) * batch.image[0].numel())  # nats per image -> bits per dim
        return Losses(
            total=(self.beta * kl - log_p) * scale,
            parts={"reconstruction": -log_p * scale, "kl": kl_bd.sum(1) * scale},
        )

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """The ELBO with one sample of z: a lower bound in nats of the 8-bit image."""
        log_p, kl_bd = self._terms(batch, noise)
        return log_p - kl_bd.sum(1)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """The mean of the posterior."""
        return self._posterior(images)[0]

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        features = self.encode_condition(cond)
        return self._expected(features) + self.sample_residual(features, noise=noise)

    def decode(self, latent: Float[Tensor, "b d"], cond: Condition) -> Float[Tensor, "b c h w"]:
        return self._decode(latent, self.encode_condition(cond)).clamp(-1, 1)

    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        return self.text.pooled(cond)

    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """From the prior's mean to the posterior's.

        Not in units of the prior's standard deviation: an image that is unlikely given its caption
        may lie many of them off, and another caption's larger ones would magnify that.
        """
        return self.encode(images) - self._expected(features)

    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        spread: Tensor = self._split(self.prior(features))[1].exp()
        return spread * noise.normal(self.latent)

    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        return self._decode(self._expected(features) + residual, features).clamp(-1, 1)

    def _expected(self, features: Tensor) -> Tensor:
        """The prior's mean."""
        return self._split(self.prior(features))[0]

    def _terms(
        self, batch: Batch, noise: Noise
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "b d"]]:
        features = self.text.pooled(batch.condition)
        mean, log_std = self._posterior(batch.image)
        prior_mean, prior_log_std = self._split(self.prior(features))
        latent = mean + log_std.exp() * noise.child("latent").normal(self.latent)
        log_p = discretised_logistic(
            batch.image.float(), self._decode(latent, features), self.log_scale.float()
        )
        kl_bd = gaussian_kl(mean, log_std, prior_mean, prior_log_std)
        return log_p, kl_bd

    def _posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.posterior(self.encoder(images).flatten(1)))

    def _decode(self, latent: Tensor, features: Tensor) -> Tensor:
        image: Tensor = self.decoder(self.from_latent(latent).unflatten(1, self.small), features)
        return image

    @staticmethod
    def _split(parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = parameters.float().chunk(2, dim=1)
        return mean, log_std.clamp(-7.0, 3.0)


def gaussian_kl(
    mean_q: Float[Tensor, "b d"],
    log_std_q: Float[Tensor, "b d"],
    mean_p: Float[Tensor, "b d"],
    log_std_p: Float[Tensor, "b d"],
) -> Float[Tensor, "b d"]:
    """KL(q || p) of diagonal Gaussians in nats, for each dimension."""
    ratio = (2 * (log_std_q - log_std_p)).exp()
    shift = ((mean_q - mean_p) / log_std_p.exp()).square()
    return 0.5 * (ratio + shift - 1.0) - (log_std_q - log_std_p)


def discretised_logistic(
    image: Float[Tensor, "b c h w"], mean: Float[Tensor, "b c h w"], log_scale: Tensor
) -> Float[Tensor, " b"]:
    """Log-probability in nats of 8-bit pixels under a logistic distribution (1606.04934).

    Args:
        image: pixels in [-1, 1], at the 256 values 2 k / 255 - 1.
        mean: of the distribution.
        log_scale: logarithm of its scale, broadcast over the image.
    """
    half = 1.0 / 255.0
    inverse = torch.exp(-log_scale)
    upper, lower = (image - mean + half) * inverse, (image - mean - half) * inverse
    # log(sigmoid(upper) - sigmoid(lower)), stable for narrow and for far-away distributions:
    # = upper's log-sigmoid + lower's log of (1 - sigmoid) + log(1 - exp(lower - upper)).
    inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
    below = F.logsigmoid(upper)  # the darkest value takes the whole left tail ...
    above = F.logsigmoid(-lower)  # ... and the brightest the right one
    log_p = torch.where(image <= -1 + half, below, torch.where(image >= 1 - half, above, inner))
    return log_p.flatten(1).sum(1)
