"""What every family of generators offers, and what it may decline."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.errors import Unsupported
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.text.tokenizer import Tokenizer

D = TypeVar("D")


def identity(denoiser: D) -> D:
    """No guidance: a denoiser as it is."""
    return denoiser


@runtime_checkable
class LossFunction(Protocol):
    """The losses of each sample of a batch."""

    def __call__(self, batch: Batch, *, noise: Noise) -> Losses: ...


@dataclass(frozen=True)
class Objective:
    """A loss and the weights that minimise it.

    Attributes:
        losses: by parts and per sample.
        parameters: the weights that follow its gradient.
    """

    losses: LossFunction
    parameters: tuple[nn.Parameter, ...]


@dataclass(frozen=True)
class Endpoint:
    """Where ways between images begin or end: at images, or at what is drawn from captions.

    Attributes:
        cond: what each image shows, or is to show.
        noise: one stream an image.
        images: in [-1, 1]; None to draw them.
    """

    cond: Condition
    noise: Noise
    images: Float[Tensor, "b c h w"] | None = None


class GenerativeModel(nn.Module, ABC):
    """A generator of images, in one contract for every family.

    `capabilities` says what a family can do; what it cannot do raises `Unsupported` with a remedy.
    Images lie in [-1, 1]; every random number comes from the `noise` that is passed in.
    """

    capabilities: Capabilities  # of the class; an instance may be able to do more or less
    exact: ClassVar[bool] = False  # whether it computes in float32 whatever precision is chosen
    low_size: int | None = None  # height and width of the images that it enlarges, if it does
    sampler: Any = None  # how samples are drawn, for the families that take many steps

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """Refuse what no network can be built from; called before anything is loaded.

        Args:
            settings: the section `model`; each value by itself is right (`genzoo.config.schema`).

        Raises:
            UsageError: with what would fit.
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
        """What of the section `model` decides how samples are drawn, for stamps; empty: nothing.

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
        """Refuse batches that a loss cannot be computed on as it is meant.

        Args:
            settings: the section `model`.
            batch: images in a batch, over all processes.
            accumulate: batches in a step.
            processes: that share a batch.

        Raises:
            UsageError: by a family that compares the images of a batch, where there are none.
        """

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        """The training objective of each sample of a batch, by parts.

        A family that is trained as a game of several networks has `objectives` instead.
        """
        raise Unsupported(f"{type(self).__name__} has no single loss", "use its objectives()")

    def objectives(self) -> dict[str, Objective]:
        """What is minimised and by which weights, by name; most families have one objective."""
        return {"model": Objective(self.losses, tuple(self.parameters()))}

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Draw one image a condition; a family with a latent space decodes random points of it.

        Args:
            cond: what each image should show.
            shape: (channels, height, width).
            noise: one stream a sample; the i-th image depends on the i-th stream alone.
            guidance: a map from denoiser to denoiser, for the families that denoise.
        """
        return self.decode(self.sample_latent(cond, noise=noise), cond)

    @property
    def inversion_sampler(self) -> Any:
        """How given images are drawn again, and ways between them, where that takes many steps."""
        return self.sampler

    def scoring_metrics(
        self, batches: Iterable[tuple[Batch, Noise]]
    ) -> dict[str, Float[Tensor, " n"]]:
        """How well held-out images are told apart, by name: from 0 to 1 each, larger is better.

        Empty for all but the models that judge images.

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
        """The latent point of each image."""
        raise Unsupported(f"{type(self).__name__} encodes no images", "use model=vae")

    def sample_latent(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b d"]:
        """Latent points as random samples have them."""
        raise Unsupported(f"{type(self).__name__} has no latent space", "use model=vae")

    def decode(self, latent: Float[Tensor, "b d"], cond: Condition) -> Float[Tensor, "b c h w"]:
        """The image at each latent point."""
        raise Unsupported(f"{type(self).__name__} has no latent space", "use model=vae")

    def reconstruct(
        self, images: Float[Tensor, "b c h w"], cond: Condition
    ) -> Float[Tensor, "b c h w"]:
        """The images after a way through the latent space and back."""
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
        """A version of each image.

        Args:
            images: in [-1, 1].
            cond: what they show; empty captions where nothing is said.
            strength: from 0, which gives the reconstruction, to 1, as free as the model allows.
            noise: one stream an image; the i-th version depends on the i-th stream alone.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family that has no versions of images.
        """
        raise Unsupported(
            f"{type(self).__name__} draws no versions of images", "use model=vae or model=flow"
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
        """Ways from images to images, ends included.

        Where a way begins and ends with images, its ends are their reconstructions; where with
        captions, what `sample` draws from them.

        Args:
            start: where ways begin.
            end: where they end, as many; with images if `start` has them.
            shape: (channels, height, width).
            steps: images on each way, 2 or more.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family that has no such ways, as `capabilities.interpolate` says.
        """
        what = "captions" if start.images is None else "images"
        raise Unsupported(
            f"{type(self).__name__} leads from no {what} to others", "use model=vae or model=flow"
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
        """Images changed by what one caption says and another does not, in steps.

        Args:
            images: in [-1, 1]; their reconstructions come first.
            source: what they show.
            target: what they are to show instead.
            steps: images on each way, 2 or more.
            strength: how far the way goes, from 0 to 1, all of it.
            noise: one stream an image, for families that draw any.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family whose images captions do not change.
        """
        raise Unsupported(
            f"{type(self).__name__} changes no images by captions", "use model=vae or model=flow"
        )

    def with_low_res(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        """The condition with smaller versions of the images that are to be enlarged."""
        raise Unsupported(f"{type(self).__name__} enlarges no images", "use model=glide")

    def with_embedding(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        """The condition with CLIP's embeddings of the images that are to be drawn again."""
        raise Unsupported(f"{type(self).__name__} goes by no embeddings", "use model=unclip")

    def check(self, batch: Batch) -> None:
        """Refuse data that the model cannot learn from; called before every training.

        Args:
            batch: training images.

        Raises:
            UsageError: with what would fit.
        """

    def data_dependent_init(self, batch: Batch, *, noise: Noise) -> None:
        """Set what depends on data before training begins; called once in a run's life.

        Args:
            batch: training images, the same on every process.
            noise: one stream an image.
        """

    def compilable(self) -> list[nn.Module]:
        """The networks that take the time, which `trainer.compile` compiles; none by default."""
        return []

    def fit_sampling_prior(self, batches: Iterable[Batch]) -> None:
        """Fit what sampling needs and training does not give; called before a model is saved.

        Args:
            batches: training images, each at most once.
        """


class ScoringModel(GenerativeModel):
    """A model that scores images and samples none; it guides others and is measured itself.

    Attributes:
        use: what it is good for, as a remedy for who wants it to draw.
        to_guide: the command line that trains one which guides.
    """

    capabilities = Capabilities(sampling=None)
    use: ClassVar[str]
    to_guide: ClassVar[str]

    def scorer(self, tokenizer: Tokenizer, *, name: str, sha256: str) -> Any:
        """What guides and scores: itself, or itself with a tokenizer as an `ImageTextModel`.

        Args:
            tokenizer: of its captions.
            name: of its checkpoint, for stamps.
            sha256: of its file.
        """
        return self

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Declined.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"{type(self).__name__} draws nothing", self.use)


class AdversarialModel(GenerativeModel):
    """A generator and a discriminator that learn against each other.

    Attributes:
        generator: what draws images.
        discriminator: what tells them from real ones.
    """

    generator: nn.Module
    discriminator: nn.Module

    @abstractmethod
    def generate(self, cond: Condition, *, noise: Noise) -> Float[Tensor, "b c h w"]:
        """Images as the generator learns from them."""

    @abstractmethod
    def discriminator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        """What the discriminator minimises; `generated` carries no gradient."""

    @abstractmethod
    def generator_losses(
        self, batch: Batch, generated: Float[Tensor, "b c h w"], *, noise: Noise
    ) -> Losses:
        """What the generator minimises; its gradient reaches it through `generated`."""

    def adapt(self, parts: Mapping[str, Tensor], *, images: int) -> None:
        """Adjust what follows the course of the game; called after a discriminator's step.

        Args:
            parts: means of the discriminator's losses by part, over all processes.
            images: real ones that the discriminator saw in the step.
        """

    def objectives(self) -> dict[str, Objective]:
        """The two sides, each against the other as it stands."""

        def discriminator(batch: Batch, *, noise: Noise) -> Losses:
            with torch.no_grad():
                generated = self.generate(batch.condition, noise=noise)
            return self.discriminator_losses(batch, generated, noise=noise)

        def generator(batch: Batch, *, noise: Noise) -> Losses:
            generated = self.generate(batch.condition, noise=noise)
            return self.generator_losses(batch, generated, noise=noise)

        return {
            "discriminator": Objective(discriminator, tuple(self.discriminator.parameters())),
            "generator": Objective(generator, tuple(self.generator.parameters())),
        }


def parameter_count(model: nn.Module) -> int:
    """Numbers that make a model, with those that came trained and stay as they are."""
    return sum(parameter.numel() for parameter in model.parameters())


def bits_per_dim(
    log_prob: Float[Tensor, " b"], shape: tuple[int, int, int]
) -> Float[Tensor, " b"]:
    """Nats per image to bits per dimension (one dimension = one 8-bit channel of a pixel)."""
    return -log_prob / (math.log(2.0) * math.prod(shape))


def interpolate_points(
    start: Float[Tensor, "b d"],
    end: Float[Tensor, "b d"],
    steps: int,
    *,
    spherical: bool = False,
    until: float = 1.0,
) -> Float[Tensor, "b steps d"]:
    """Points from one latent point to another, ends included.

    Args:
        start: where paths begin.
        end: where they end.
        steps: points on each.
        spherical: turn from one direction to the other at an even pace (arXiv 1609.04468) instead
            of going straight. Points drawn from a normal distribution lie near a sphere, whose
            inside a straight line crosses.
        until: the share of the way at which to stop.
    """
    weight = torch.linspace(0.0, until, steps, device=start.device)[None, :, None]
    if not spherical:
        return torch.lerp(start[:, None], end[:, None], weight)
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.arccos()[:, None, None]
    parts = ((1 - weight) * angle).sin() * start[:, None] + (weight * angle).sin() * end[:, None]
    return parts / angle.sin()
