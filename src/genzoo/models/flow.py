"""A normalizing flow: an invertible map of images to noise, trained by exact likelihood.

The map itself is an argument (`genzoo.flows.glow.Glow`, `genzoo.flows.tarflow.TarFlow`); this
family adds the condition, the dequantisation of 8-bit images, and sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.precision import exact
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.flows.dequantise import LEVELS, Dequantisation
from genzoo.flows.transform import Guided, Transform
from genzoo.models.base import bits_per_dim, identity
from genzoo.models.latent import LatentModel
from genzoo.text.encoder import TextEncoder


class Flow(LatentModel):
    """p(image | caption) by a change of variables.

    The likelihood of the 8-bit image is a lower bound because of the dequantisation (see
    `genzoo.flows.dequantise`); the density of the continuous image is exact.

    Some captions are dropped in training, so that the unconditional map is trained too: `encode`
    and `decode` use it, for one latent space of all captions.

    Args:
        image_size: height and width of the images.
        arch: the invertible map, images to flat latents.
        dequantisation: noise within the width of a grey level.
        text: arguments of the `TextEncoder`.
        drop: share of captions that are replaced by the empty one in training.
        temperature: standard deviation of sampled latents.
        noise_std: standard deviation, in units of [-1, 1], of Gaussian noise on training images;
            samples are then denoised by the model's own score (TarFlow, arXiv 2412.06329,
            sections 3.2 and 3.3). `losses` are those of noisy images; `log_prob` stays a bound
            for the clean ones, but a looser one. 0 for none.
    """

    capabilities = Capabilities(
        sampling="inverse of the encoder at Gaussian noise",
        conditions=frozenset({"text"}),
        guidance=frozenset({"classifier_free"}),
        likelihood="bound",
        reconstruct=True,
        latent=True,
        variations=True,
        interpolate=frozenset({"images", "captions"}),
        text_diff=True,
    )
    exact = True  # anything less would cost the map its inverse

    def __init__(
        self,
        *,
        image_size: int,
        arch: Transform,
        dequantisation: Dequantisation,
        text: Mapping[str, Any],
        drop: float,
        temperature: float,
        noise_std: float,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.text = TextEncoder(**text)
        self.arch = arch
        self.dequantise = dequantisation
        self.drop, self.temperature, self.noise_std = drop, temperature, noise_std
        self.dimensions = channels * image_size**2

    @property
    def dequantisation(self) -> str:
        """The name of the dequantisation, on which the bound depends."""
        return self.dequantise.name

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        """Bits per dimension: of dequantisation, latents and log-determinant.

        Without gradients, as in validation, the map is also inverted:
        `inversion_error` is the largest deviation of a pixel in [-1, 1].
        """
        with exact(batch.image.device):
            cond = self._text(self._dropped(batch.condition, noise))
            y, log_q = self._training_point(batch.image.float(), noise)
            z, log_det = self.arch(y, cond)
            terms = {
                "latent": _log_normal(z),
                "log_det": log_det - y[0].numel() * math.log(LEVELS / 2),
                "dequantisation": -log_q,
            }
            shape = (y.shape[1], y.shape[2], y.shape[3])
            parts = {name: bits_per_dim(value, shape) for name, value in terms.items()}
            total = torch.stack(list(parts.values())).sum(0)
            if not torch.is_grad_enabled():
                error = self.arch.inverse(z, cond) - y
                parts["inversion_error"] = error.abs().flatten(1).amax(1)
        return Losses(total=total, parts=parts)

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """A lower bound in nats of the 8-bit image, with one sample of dequantisation."""
        with exact(batch.image.device):
            y, log_q = self._dequantised(batch.image.float(), noise)
            z, log_det = self.arch(y, self._text(batch.condition))
            log_p: Tensor = _log_normal(z) + log_det - y[0].numel() * math.log(LEVELS / 2) - log_q
            return log_p

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """The latent of each image, at centres of grey levels, by the unconditional map."""
        with exact(images.device):
            return self._encode(_centred(images.float()))

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        """Latents, by the unconditional map, of samples given their captions."""
        with exact(cond.tokens.device):
            return self._encode(self._sample(cond, noise))

    def decode(self, latent: Float[Tensor, "b d"], cond: Condition) -> Float[Tensor, "b c h w"]:
        """The inverse of `encode`, by the unconditional map."""
        with exact(latent.device):
            return _to_image(self.arch.inverse(latent.float(), self._no_text(latent)))

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The inverse of the map, given the caption, at Gaussian noise times the temperature.

        `guidance` is `identity` or a `ClassifierFree`.
        """
        with exact(cond.tokens.device):
            return _to_image(self._sample(cond, noise, guidance))

    def encode_condition(self, cond: Condition) -> Float[Tensor, "b f"]:
        with exact(cond.tokens.device):
            return self._text(cond)

    def residual_latent(
        self, images: Float[Tensor, "b c h w"], features: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b d"]:
        """The latent of each image by the map given its caption."""
        with exact(images.device):
            z: Tensor = self.arch(_centred(images.float()), features)[0]
            return z

    def sample_residual(
        self, features: Float[Tensor, "b f"], *, noise: Noise
    ) -> Float[Tensor, "b d"]:
        return self.temperature * noise.normal(self.dimensions)

    def from_residual(
        self,
        residual: Float[Tensor, "b d"],
        features: Float[Tensor, "b f"],
        *,
        sampled: float = 0.0,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """The inverse of the map given the caption, denoised by the sampled share."""
        with exact(residual.device):
            return _to_image(self._inverse(residual, features, sampled=sampled, guidance=guidance))

    @torch.no_grad()
    def data_dependent_init(self, batch: Batch, *, noise: Noise) -> None:
        """Data-dependent whitening and activation normalisation."""
        with exact(batch.image.device):
            y, _ = self._training_point(batch.image.float(), noise)
            self.arch.data_dependent_init(y, self._text(batch.condition))

    def _encode(self, y: Tensor) -> Tensor:
        z: Tensor = self.arch(y, self._no_text(y))[0]
        return z

    def _sample(self, cond: Condition, noise: Noise, guidance: Any = identity) -> Tensor:
        features = self._text(cond)
        z = self.sample_residual(features, noise=noise)
        return self._inverse(z, features, sampled=1.0, guidance=guidance)

    def _inverse(self, z: Tensor, features: Tensor, *, sampled: float, guidance: Any) -> Tensor:
        guided = isinstance(guidance, ClassifierFree)
        if guided and not guidance.everywhere:
            raise Unsupported(
                "a flow has no noise levels, so guidance.interval= does not apply to it",
                "leave it away",
            )
        y = self.arch.inverse(
            z, Guided(features, self._no_text(z), guidance) if guided else features
        )
        return self._denoised(y, features, sampled) if self.noise_std and sampled else y

    def _denoised(self, y: Tensor, features: Tensor, share: float) -> Tensor:
        """Tweedie's formula: y + std^2 grad log p(y), the mean of the clean image given y.

        Only a share of it where only a share of the noise was sampled: given images have none.
        """
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            z, log_det = self.arch(y, features)
            (score,) = torch.autograd.grad((_log_normal(z) + log_det).sum(), y)
        return (y + share * self.noise_std**2 * score).detach()

    def _dequantised(self, image: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Dequantised images y = (k + u) / 128 - 1 in (-1, 1), and log q(u)."""
        u, log_q = self.dequantise(image, noise=noise.child("dequantisation"))
        return _centred(image) + (u - 0.5) * (2 / LEVELS), log_q

    def _training_point(self, image: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Dequantised images with the noise of training, and log q(u)."""
        y, log_q = self._dequantised(image, noise)
        if self.noise_std:
            y = y + self.noise_std * noise.child("augmentation").normal(*y.shape[1:])
        return y, log_q

    def _dropped(self, cond: Condition, noise: Noise) -> Condition:
        """Captions, of which a random part is replaced by the empty one."""
        kept = noise.child("drop").uniform(1) >= self.drop
        return replace(cond, token_mask=cond.token_mask & kept)

    def _text(self, cond: Condition) -> Float[Tensor, "b d"]:
        pooled: Tensor = self.text(cond.tokens, cond.token_mask).pooled
        return pooled.float()

    def _no_text(self, like: Tensor) -> Float[Tensor, "b d"]:
        """Features of the empty caption, one row for each row of `like`."""
        tokens = torch.zeros(1, len(self.text.position), dtype=torch.long, device=like.device)
        pooled: Tensor = self.text(tokens, torch.zeros_like(tokens, dtype=torch.bool)).pooled
        return pooled.float().expand(len(like), -1)


def _centred(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """[-1, 1] on the 256 values 2 k / 255 - 1 to the centres (k + 1/2) / 128 - 1."""
    return ((image + 1) * 127.5 + 0.5) * (2 / LEVELS) - 1


def _to_image(y: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """The inverse of `_centred`; rounding to 8 bit then gives k, the grey level y lies in."""
    return (((y + 1) * (LEVELS / 2) - 0.5) / 127.5 - 1).clamp(-1, 1)


def _log_normal(z: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
    """Log-density of independent standard normal numbers."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
