"""The interface of every family of generators, and what a family may decline."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Capabilities, Condition, Losses

D = TypeVar("D")


def identity(denoiser: D) -> D:
    """No guidance: a denoiser as it is."""
    return denoiser


@runtime_checkable
class LossFunction(Protocol):
    """The losses of each image of a batch."""

    def __call__(self, batch: Batch, *, noise: Noise) -> Losses: ...


@dataclass(frozen=True)
class Objective:
    """A loss and the weights that minimise it.

    Attributes:
        losses: by parts and per image.
        parameters: the weights that are updated by its gradient.
    """

    losses: LossFunction
    parameters: tuple[nn.Parameter, ...]


@dataclass(frozen=True)
class Endpoint:
    """Where interpolations start or end: at images, or at samples from captions.

    Attributes:
        cond: the condition of each image.
        noise: one stream an image.
        images: in [-1, 1]; None to sample them.
    """

    cond: Condition
    noise: Noise
    images: Float[Tensor, "b c h w"] | None = None


class GenerativeModel(nn.Module, ABC):
    """A generator of images, with one interface for every family.

    `capabilities` says what a family can do; what it cannot do raises `Unsupported` with a remedy.
    Images lie in [-1, 1]; every random number comes from the `noise` that is passed in.
    """

    capabilities: Capabilities  # of the class; an instance may be able to do more or less
    exact: ClassVar[bool] = False  # whether it computes in float32 whatever precision is chosen
    low_size: int | None = None  # height and width of the images that it upsamples, if it does
    sampler: Any = None  # of the families that sample in many steps

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Refuse settings that no network can be built from; called before anything is loaded.

        Args:
            settings: the section `model`; each value by itself is valid (`genzoo.config.schema`).

        Raises:
            UsageError: with values that would fit.
        """

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        """What height and width of the images have to be divisible by.

        Args:
            settings: the section `model`. A part with a `_target_` of its own is asked by itself.
        """
        return 1

    @classmethod
    def sampling_words(cls, settings: Mapping[str, Any]) -> str:
        """The settings of sampling in the section `model`, for stamps; may be empty.

        Args:
            settings: the section `model`.
        """
        return ""

    @property
    def reads_captions(self) -> bool:
        """Whether captions make a difference to what it does."""
        return "text" in self.capabilities.conditions

    @classmethod
    def check_batches(
        cls, settings: Mapping[str, Any], *, batch: int, accumulate: int, processes: int
    ) -> None:
        """Refuse batches that a loss is not defined on.

        Args:
            settings: the section `model`.
            batch: images in a batch, over all processes.
            accumulate: batches in a step.
            processes: that share a batch.

        Raises:
            UsageError: by a family that compares the images of a batch, where there are none.
        """

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        """The training objective of each image of a batch, by parts.

        A family with several objectives, such as a GAN, has `objectives` instead.
        """
        raise Unsupported(f"{type(self).__name__} has no single loss", "use its objectives()")

    def objectives(self) -> dict[str, Objective]:
        """The objectives by name; most families have one."""
        return {"model": Objective(self.losses, tuple(self.parameters()))}

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Sample one image for each condition; by default, decode sampled latents.

        Args:
            cond: the condition of each sample.
            shape: (channels, height, width).
            noise: one stream a sample; the i-th sample depends on the i-th stream alone.
            guidance: a map from denoiser to denoiser, for the families that denoise.
        """
        return self.decode(self.sample_latent(cond, noise=noise), cond)

    @property
    def inversion_sampler(self) -> Any:
        """The sampler of reconstructions, variations and interpolations of given images."""
        return self.sampler

    def scoring_metrics(
        self, batches: Iterable[tuple[Batch, Noise]]
    ) -> dict[str, Float[Tensor, " n"]]:
        """How well the model scores held-out images, by name: in [0, 1], higher is better.

        Empty for all but the models that score images.

        Args:
            batches: all n held-out images, and the noise of each batch.
        """
        return {}

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """Log-likelihood of the 8-bit image in nats, exact or a bound as `capabilities` says."""
        raise Unsupported(
            f"{type(self).__name__} has no likelihood", "compare it by samples, or use model=vae"
        )

    def encode(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """The latent of each image."""
        raise Unsupported(f"{type(self).__name__} encodes no images", "use model=vae")

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        """Latents of random samples."""
        raise Unsupported(f"{type(self).__name__} has no latent space", "use model=vae")

    def decode(self, latent: Float[Tensor, "b d"], cond: Condition) -> Float[Tensor, "b c h w"]:
        """The image of each latent."""
        raise Unsupported(f"{type(self).__name__} has no latent space", "use model=vae")

    def reconstruct(
        self, images: Float[Tensor, "b c h w"], cond: Condition
    ) -> Float[Tensor, "b c h w"]:
        """The images encoded and decoded."""
        return self.decode(self.encode(images), cond)

    def variations(
        self,
        images: Float[Tensor, "b c h w"],
        cond: Condition,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """A variation of each image.

        Args:
            images: in [-1, 1].
            cond: of the images; empty captions where there are none.
            strength: from 0, which gives the reconstruction, to 1, as free as the model allows.
            noise: one stream an image; the i-th variation depends on the i-th stream alone.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family without variations.
        """
        raise Unsupported(
            f"{type(self).__name__} has no variations of images", "use model=vae or model=flow"
        )

    def interpolate(
        self,
        start: Endpoint,
        end: Endpoint,
        shape: tuple[int, int, int],
        steps: int,
        *,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Interpolations between images, endpoints included.

        Between given images, the endpoints are their reconstructions; between captions, what
        `sample` returns for them.

        Args:
            start: of each interpolation.
            end: of each, as many; with images if `start` has them.
            shape: (channels, height, width).
            steps: images of each interpolation, 2 or more.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family without such interpolations, see `capabilities.interpolate`.
        """
        what = "captions" if start.images is None else "images"
        raise Unsupported(
            f"{type(self).__name__} does not interpolate between {what}",
            "use model=vae or model=flow",
        )

    def text_diff(
        self,
        images: Float[Tensor, "b c h w"],
        source: Condition,
        target: Condition,
        steps: int,
        *,
        strength: float,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b steps c h w"]:
        """Images edited by the difference of two captions, in steps.

        Args:
            images: in [-1, 1]; their reconstructions come first.
            source: captions of the images.
            target: captions of the edited images.
            steps: images of each interpolation, 2 or more.
            strength: of the edit, from 0 to 1.
            noise: one stream an image, for families that need any.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family without edits by captions.
        """
        raise Unsupported(
            f"{type(self).__name__} does not edit images by captions",
            "use model=vae or model=flow",
        )

    def with_low_res(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        """The condition with the images downsampled, for a family that upsamples."""
        raise Unsupported(f"{type(self).__name__} does not upsample images", "use model=glide")

    def with_embedding(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        """The condition with CLIP's embeddings of the images."""
        raise Unsupported(
            f"{type(self).__name__} is not conditioned on embeddings", "use model=unclip"
        )

    def check(self, batch: Batch) -> None:
        """Refuse data that the model cannot be trained on; called before every training.

        Args:
            batch: training images.

        Raises:
            UsageError: with values that would fit.
        """

    def data_dependent_init(self, batch: Batch, *, noise: Noise) -> None:
        """Initialise what depends on data; called once, before training begins.

        Args:
            batch: training images, the same on every process.
            noise: one stream an image.
        """

    def compilable(self) -> list[nn.Module]:
        """The networks that `trainer.compile` compiles; none by default."""
        return []

    def fit_sampling_prior(self, batches: Iterable[Batch]) -> None:
        """Fit the distribution of latents that is sampled from; called before a model is saved.

        Args:
            batches: training images, each at most once.
        """


def parameter_count(model: nn.Module) -> int:
    """The number of parameters, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def bits_per_dim(
    log_prob: Float[Tensor, " b"], shape: tuple[int, int, int]
) -> Float[Tensor, " b"]:
    """From nats per image to bits per dimension (a dimension is an 8-bit channel of a pixel)."""
    return -log_prob / (math.log(2.0) * math.prod(shape))


def interpolate_points(
    start: Float[Tensor, "b d"],
    end: Float[Tensor, "b d"],
    steps: int,
    *,
    spherical: bool = False,
    until: float = 1.0,
) -> Float[Tensor, "b steps d"]:
    """Points of an interpolation between two latents, endpoints included.

    Args:
        start: of each interpolation.
        end: of each.
        steps: points of each.
        spherical: spherical interpolation (arXiv 1609.04468) instead of linear. Samples of a
            normal distribution lie near a sphere, and a straight line leaves it.
        until: the fraction of the interpolation at which to stop.
    """
    weight = torch.linspace(0.0, until, steps, device=start.device)[None, :, None]
    if not spherical:
        return torch.lerp(start[:, None], end[:, None], weight)
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.arccos()[:, None, None]
    parts = ((1 - weight) * angle).sin() * start[:, None] + (weight * angle).sin() * end[:, None]
    return parts / angle.sin()
