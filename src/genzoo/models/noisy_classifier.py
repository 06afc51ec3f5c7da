"""A noise-aware classifier, whose gradient guides a diffusion model.

Dhariwal & Nichol (ADM), arXiv 2105.05233, section 4. Noisy images are scaled to unit variance, and
the network is conditioned on the share of noise: so it guides models of any process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Condition, Losses
from genzoo.diffusion.process import Process, q_sample
from genzoo.diffusion.schedule import NoiseLevel
from genzoo.models.scoring import ScoringModel
from genzoo.nn.unet import Classifier, UNetShape, unet_size_unit

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of noise in the variance, for the metrics


class NoisyClassifier(ScoringModel):
    """p(class | x_t) at every amount of noise.

    Args:
        image_size: height and width of the images.
        labels: number of classes.
        unet: arguments of `UNetShape`; only the encoder half is built.
        process: of the noise in training.
        channels: of the images.

    Attributes:
        kind: what `guidance.scorer` calls it.
    """

    use = (
        "let it guide: task=sample checkpoint=<a diffusion model> guidance=classifier "
        "guidance.checkpoint=<this one> label=<number>"
    )
    to_guide = "model=noisy_classifier"
    kind = "noisy_classifier"
    noise_aware = True

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        return unet_size_unit(settings["unet"])

    def __init__(
        self,
        *,
        image_size: int,
        labels: int,
        unet: Mapping[str, Any],
        process: Process,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.image_size, self.labels, self.process = image_size, labels, process
        self.network = Classifier(UNetShape(**unet), channels=channels, classes=labels)

    def check(self, batch: Batch) -> None:
        least, most = int(batch.label.min()), int(batch.label.max())
        if least < 0:
            raise UsageError("this data has no classes", "use data=shapes or data=fashion_mnist")
        if most >= self.labels:
            raise UsageError(
                f"model.labels={self.labels}, and the data has a class {most}",
                "give as many as the data has",
            )

    def compilable(self) -> list[nn.Module]:
        return [self.network]

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        level = self.process.levels(batch.image, noise=noise)
        _, x_t = q_sample(batch.image, level, noise=noise)
        logits = self(x_t, level)
        surprise = F.cross_entropy(logits, batch.label, reduction="none")
        return Losses(surprise, {"accuracy": _right(logits, batch.label)})

    def forward(self, x_t: Float[Tensor, "b c h w"], level: NoiseLevel) -> Float[Tensor, "b k"]:
        """Logits for x_t = alpha x_0 + sigma eps."""
        size = (level.alpha**2 + level.sigma**2).sqrt()
        # The angle between image and noise, from 0 to 1000 as the steps of a chain are.
        angle = torch.atan2(level.sigma, level.alpha).flatten() * (2000 / math.pi)
        logits: Tensor = self.network((x_t / size).to(x_t.dtype), angle).float()
        return logits

    def log_likelihood(
        self, cond: Condition
    ) -> Callable[[Float[Tensor, "b c h w"], NoiseLevel], Float[Tensor, " b"]]:
        """Log p(class | x_t), given x_t and its noise level.

        Raises:
            UsageError: for a label that is none of the classes.
        """
        self.check_labels(cond.label)
        return lambda x_t, level: -F.cross_entropy(self(x_t, level), cond.label, reduction="none")

    def check_labels(self, label: Int[Tensor, " b"]) -> None:
        """Refuse classes that the data does not have; this synchronises with the device, once.

        Raises:
            UsageError: for a label that is none of the classes.
        """
        least, most = int(label.min()), int(label.max())
        if not 0 <= least <= most < self.labels:
            raise UsageError(
                "guidance=classifier guides towards one of the classes "
                f"0 to {self.labels - 1}, and {'none' if least < 0 else most} was asked for",
                "name one with label=<number>, or measure on data that has these classes",
            )

    def scoring_metrics(
        self, batches: Iterable[tuple[Batch, Noise]]
    ) -> dict[str, Float[Tensor, " n"]]:
        """Accuracy on each image at several shares of noise."""
        found: dict[str, list[Tensor]] = {}
        for batch, noise in batches:
            for share in SHARES:
                noisy = torch.full_like(batch.image[:, :1, :1, :1], share)
                level = NoiseLevel((1 - noisy).sqrt(), noisy.sqrt(), noisy.flatten())
                _, x_t = q_sample(batch.image, level, noise=noise.child(f"{share:g}"))
                right = _right(self(x_t, level), batch.label)
                found.setdefault(f"accuracy/noise_{share:g}", []).append(right)
        return {name: torch.cat(parts) for name, parts in found.items()}


def _right(logits: Float[Tensor, "b k"], label: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    return (logits.argmax(1) == label).float()
