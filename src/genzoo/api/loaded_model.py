"""A trained model with all that sampling needs, shared by tasks and `genzoo.load`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, UInt8
from omegaconf import DictConfig
from torch import Tensor

from genzoo.api.drawing import condition, sample_images
from genzoo.core.errors import UsageError
from genzoo.core.image import to_float, to_uint8
from genzoo.core.noise import Noise, split_seed
from genzoo.core.precision import Precision
from genzoo.core.types import Batch, Condition
from genzoo.machine.console import Progress
from genzoo.models.base import Endpoint, GenerativeModel
from genzoo.run import devices, loading, scorers
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class SecondStage:
    """The upsampler of a cascade.

    Attributes:
        model: where it computes.
        size: height and width of its images.
        tokenizer: of its captions.
        device: where the model is.
    """

    model: GenerativeModel
    size: int
    tokenizer: Tokenizer
    device: torch.device

    @classmethod
    def of(
        cls, model: GenerativeModel, checkpoint: Checkpoint, *, device: torch.device
    ) -> SecondStage:
        """What `run.cascade.second_stage` found."""
        tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
        return cls(model.to(device), checkpoint.config["data"]["image_size"], tokenizer, device)

    def enlarged(
        self, small: UInt8[Tensor, "b 3 i j"], cond: Condition, *, seed: int, indices: list[int]
    ) -> UInt8[Tensor, "b 3 h w"]:
        """8-bit images and their captions to larger 8-bit images."""
        own = condition(cond.caption, self.tokenizer)
        return sample_images(
            self.model,
            replace(own, low_res=to_float(small)),
            (3, self.size, self.size),
            seed=split_seed(seed, "upsample"),
            indices=indices,
            device=self.device,
        )


@dataclass(frozen=True)
class LoadedModel:
    """A model where it computes.

    Images come and go as 8-bit tensors on the CPU.

    Attributes:
        cfg: the prepared configuration.
        model: with its averaged weights.
        checkpoint: that it came from.
        tokenizer: of its captions.
        guidance: that the configuration asks for.
        device: where the model is.
        precision: in which it computes.
    """

    cfg: DictConfig
    model: GenerativeModel
    checkpoint: Checkpoint
    tokenizer: Tokenizer
    guidance: Any
    device: torch.device
    precision: Precision

    @classmethod
    def of(cls, cfg: DictConfig) -> LoadedModel:
        """The model of a checkpoint.

        Raises:
            UsageError: where no checkpoint is named.
        """
        model, checkpoint = loading.trained_model(cfg)
        device = devices.device(cfg)
        return cls(
            cfg,
            model.to(device),
            checkpoint,
            read_tokenizer(checkpoint.about["tokenizer"]),
            scorers.build_guidance(cfg),
            device,
            devices.precision(cfg),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        size = self.checkpoint.config["data"]["image_size"]
        return 3, size, size

    def about(self, *, sampler: Any) -> dict[str, str]:
        """How an image was sampled, for the file's metadata.

        Args:
            sampler: of the image; None for a model that samples in one step.
        """
        return {
            "model": self.cfg.model.name,
            "seed": str(self.cfg.seed),
            "guidance": scorers.guidance_words(self.cfg),
            "sampler": "none" if sampler is None else str(sampler),
            "precision": devices.stated_precision(self.cfg),
            "checkpoint": self.checkpoint.mention,
            "software": f"genzoo {self.checkpoint.about['version']}",
        }

    def condition(self, caption: str | None, count: int = 1) -> Condition:
        """One caption `count` times; None for empty ones."""
        words = "" if caption is None else str(caption)
        return condition([words] * count, self.tokenizer).to(self.device)

    def noise(self, *numbers: int) -> Noise:
        """The noise of `sample` for the images of these numbers."""
        return Noise.of(self.cfg.seed, numbers, "sample", device=self.device)

    def sample(
        self,
        captions: Sequence[str],
        *,
        count: int,
        batch: int,
        label: int | None = None,
        second: SecondStage | None = None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Samples from captions, the i-th from caption i, cycling through them.

        Args:
            captions: one or more.
            count: of samples.
            batch: samples at once; does not change them.
            label: a class, for models conditioned on classes, or a classifier.
            second: the upsampler, if there is one.
        """
        parts, seed = [], self.cfg.seed
        with Progress("sampling", count) as progress, self.precision():
            for start in range(0, count, batch):
                numbers = list(range(start, min(start + batch, count)))
                own = [captions[i % len(captions)] for i in numbers]
                cond = condition(own, self.tokenizer, label=label)
                sampled = sample_images(
                    self.model,
                    cond,
                    self.shape,
                    seed=seed,
                    indices=numbers,
                    device=self.device,
                    guidance=self.guidance,
                )
                if second is not None:
                    sampled = second.enlarged(sampled, cond, seed=seed, indices=numbers)
                parts.append(sampled)
                progress.at(numbers[-1] + 1)
        return torch.cat(parts)

    def variations(
        self,
        image: UInt8[Tensor, "3 h w"],
        caption: str | None,
        *,
        count: int,
        batch: int,
        strength: float,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Variations of an image, see `GenerativeModel.variations`."""
        parts = []
        with Progress("sampling", count) as progress, torch.no_grad(), self.precision():
            for start in range(0, count, batch):
                numbers = range(start, min(start + batch, count))
                images = self.model.variations(
                    self._seen(image).expand(len(numbers), -1, -1, -1),
                    self.condition(caption, len(numbers)),
                    strength=strength,
                    noise=self.noise(*numbers),
                    guidance=self.guidance,
                )
                parts.append(to_uint8(images).cpu())
                progress.at(numbers.stop)
        return torch.cat(parts)

    def interpolate(
        self,
        images: Sequence[UInt8[Tensor, "3 h w"]],
        captions: tuple[str | None, str | None],
        *,
        steps: int,
    ) -> UInt8[Tensor, "steps 3 h w"]:
        """An interpolation between two images, or without images between two captions.

        Both endpoints have the noise of sample 0, so that captions alone make the difference.

        Args:
            images: two, or none.
            captions: of the first and of the last one.
            steps: images of the interpolation, endpoints included.
        """
        start, end = (
            Endpoint(
                self.condition(caption),
                self.noise(0),
                self._seen(images[k]) if images else None,
            )
            for k, caption in enumerate(captions)
        )
        with torch.no_grad(), self.precision():
            way = self.model.interpolate(start, end, self.shape, steps, guidance=self.guidance)
        return to_uint8(way[0]).cpu()

    def text_diff(
        self,
        image: UInt8[Tensor, "3 h w"],
        source: str | None,
        target: str | None,
        *,
        steps: int,
        strength: float,
    ) -> UInt8[Tensor, "steps 3 h w"]:
        """An image edited by the difference of two captions, in steps."""
        with torch.no_grad(), self.precision():
            way = self.model.text_diff(
                self._seen(image),
                self.condition(source),
                self.condition(target),
                steps,
                strength=strength,
                noise=self.noise(0),
                guidance=self.guidance,
            )
        return to_uint8(way[0]).cpu()

    @torch.no_grad()
    def reconstruct(self, batch: Batch) -> UInt8[Tensor, "b 3 h w"]:
        """Images, encoded and decoded."""
        with self.precision():
            return to_uint8(self.model.reconstruct(batch.image, batch.condition)).cpu()

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Float[Tensor, " b"]:
        """Log-likelihoods in nats, float64, with the noise that task=evaluate has for an index."""
        noise = Noise.of(self.cfg.seed, batch.index, "likelihood", device=self.device)
        with self.precision():
            return self.model.log_prob(batch, noise=noise).cpu().double()

    def checked_label(self, label: Any) -> int | None:
        """The class that is asked for, if any.

        Raises:
            UsageError: where nothing knows classes, or not this one.
        """
        if label is None:
            return None
        scorer = getattr(self.guidance, "scorer", None)
        classes = getattr(self.model, "labels", 0) or getattr(scorer, "labels", 0)
        if not classes:
            name = self.cfg.model.name
            raise UsageError(
                f"label={label} means nothing to model={name}, which has no classes",
                "leave label= away, or guide by a classifier",
            )
        if not isinstance(label, int) or not 0 <= label < classes:
            raise UsageError(
                f"label={label} is none of the classes 0 to {classes - 1}", "write one of them"
            )
        return int(label)

    def _seen(self, image: UInt8[Tensor, "3 h w"]) -> Tensor:
        """An 8-bit image as a batch of one, as the model sees it."""
        return to_float(image)[None].to(self.device)
