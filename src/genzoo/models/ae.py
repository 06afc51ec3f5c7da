"""A plain autoencoder: encoder, bottleneck, decoder, squared error.

Its training does not constrain the distribution of the codes. To sample images all the same, a
Gaussian is fitted to the codes of training images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.noise import Noise
from genzoo.core.precision import full
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.models.base import identity
from genzoo.models.latent import LatentModel
from genzoo.nn.conv import ConvDecoder, ConvEncoder


class Autoencoder(LatentModel):
    """Convolutional autoencoder with a vector as bottleneck.

    Args:
        image_size: height and width of the images, divisible by 2 ** len(widths).
        latent: size of the bottleneck.
        widths: channels at 1/2, 1/4 ... of the image's size.
        blocks: residual blocks at each size, in the encoder and in the decoder.
        channels: of the images.
    """

    capabilities = Capabilities(
        sampling="Gaussian fitted to the codes of training images",
        reconstruct=True,
        latent=True,
        variations=True,
        interpolate=frozenset({"images"}),
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
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.small = (widths[-1], image_size >> len(widths), image_size >> len(widths))
        flat = self.small[0] * self.small[1] * self.small[2]
        self.encoder = ConvEncoder(channels=channels, widths=widths, blocks=blocks)
        self.to_latent = nn.Linear(flat, latent)
        self.from_latent = nn.Linear(latent, flat)
        self.decoder = ConvDecoder(channels=channels, widths=widths, blocks=blocks)
        self.register_buffer("latent_mean", torch.zeros(latent))
        self.register_buffer("latent_cholesky", torch.eye(latent))
        self.latent_mean: Tensor
        self.latent_cholesky: Tensor

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        latent: Tensor = self.to_latent(self.encoder(images).flatten(1))
        return latent.float()

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        return self.latent_mean + self.sample_residual(self.encode_condition(cond), noise=noise)

    def decode(
        self, latent: Float[Tensor, "b d"], cond: Condition | None = None
    ) -> Float[Tensor, "b c h w"]:
        return self._decode(latent).clamp(-1, 1)

    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        """No features: it is unconditional."""
        return self.latent_mean.new_zeros(len(cond), 0)

    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """The code of each image minus the mean code."""
        return self.encode(images) - self.latent_mean

    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        with full(self.latent_mean):
            sampled: Tensor = noise.normal(len(self.latent_mean)) @ self.latent_cholesky.mT
        return sampled

    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        return self.decode(self.latent_mean + residual)

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        rebuilt = self._decode(self.encode(batch.image))
        error = (rebuilt - batch.image).square().flatten(1).mean(1)
        return Losses(total=error, parts={"reconstruction": error})

    def _decode(self, latent: Tensor) -> Tensor:
        image: Tensor = self.decoder(self.from_latent(latent).unflatten(1, self.small))
        return image

    @torch.no_grad()
    def fit_sampling_prior(self, batches: Iterable[Batch]) -> None:
        """Fit the Gaussian that codes are sampled from."""
        codes = torch.cat([self.encode(batch.image).double().cpu() for batch in batches])
        mean = codes.mean(0)
        centred = codes - mean
        cov = centred.mT @ centred / max(len(codes) - 1, 1)
        # A constant code would make the covariance singular.
        jitter = 1e-6 * cov.diagonal().mean().clamp(min=1e-6)
        factor = torch.linalg.cholesky(cov + jitter * torch.eye(len(cov), dtype=cov.dtype))
        self.latent_mean.copy_(mean)
        self.latent_cholesky.copy_(factor)
