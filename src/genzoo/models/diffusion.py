"""A text-conditional diffusion model: images by removing noise step by step.

The process (what noise, what a network says of it) is an argument, and so is the shape of the
U-Net; sampler and guidance are chosen when samples are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Capabilities, Condition, Losses
from genzoo.diffusion import guide
from genzoo.diffusion.guidance import Classifier, ClassifierFree, mixed
from genzoo.diffusion.likelihood import NATS, bound_term, prior_term
from genzoo.diffusion.network import Reading, Shown, TextUNet
from genzoo.diffusion.predict import Denoiser, Images, Prediction, noised
from genzoo.diffusion.process import Discrete, Process
from genzoo.diffusion.sampler import ddim_reversed, final
from genzoo.diffusion.sampling import Sampling
from genzoo.diffusion.schedule import Schedule
from genzoo.models.base import GenerativeModel, identity
from genzoo.nn.unet import UNetShape, unet_size_unit


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network that has read its captions, as samplers ask it.

    Attributes:
        network: `TextUNet`, or what is asked as it is.
        process: it was trained on.
        schedule: of the sampling.
        reading: of the captions.
        nothing: the reading of empty captions, where guidance compares with it.
        shown: what the network sees beside x_t.
    """

    network: Callable[[Tensor, Tensor, Reading, Shown | None], Tensor]
    process: Process
    schedule: Schedule
    reading: Reading
    nothing: Reading | None = None
    shown: Shown | None = None

    def __call__(self, x_t: Images, step: int) -> Prediction:
        return self._ask(x_t, step, self.reading, self.shown)

    def both(self, x_t: Images, step: int) -> tuple[Prediction, Prediction]:
        """With the captions and without, by one evaluation."""
        assert self.nothing is not None
        reading = self.reading.with_rows(self.nothing)
        shown = None if self.shown is None else self.shown.twice()
        together = self._ask(x_t.repeat(2, 1, 1, 1), step, reading, shown)
        return together[: len(x_t)], together[len(x_t) :]

    def _ask(self, x_t: Images, step: int, reading: Reading, shown: Shown | None) -> Prediction:
        def network(x: Tensor, times: Tensor) -> Tensor:
            out: Tensor = self.network(x, times, reading, shown)
            return out

        return self.process.predict(network, x_t, self.schedule, step)


class Diffusion(GenerativeModel):
    """p(image | caption) as a chain of small denoising steps.

    Args:
        image_size: height and width of the images.
        unet: arguments of `UNetShape`.
        text: arguments of the `TextEncoder`; None for a model without captions.
        labels: how many classes it is told, besides captions or instead; 0 for none.
        process: what it is trained on.
        drop: share of the captions that training replaces by the empty one (GLIDE, arXiv
            2112.10741, section 4.1), which is what classifier-free guidance needs.
        likelihood_steps: of the chain whose variational bound is the likelihood; more are tighter.
        inpaint: whether the network is shown a masked image (see `TextUNet`).
        upsample: whether the network is shown a smaller image.
        embedding: numbers of the image's CLIP embedding that the network is told; 0 for none.
        drop_embedding: share of these that training replaces by zeros.
        channels: of the images.
    """

    capabilities = Capabilities(
        sampling="denoising from Gaussian noise",
        conditions=frozenset({"text"}),
        samplers=True,
        guidance=frozenset({"classifier_free", "classifier"}),
        likelihood="bound",
    )

    sampler: Sampling  # how samples are drawn; to be set anew whenever another way is wanted

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        return unet_size_unit(settings["unet"])

    def __init__(
        self,
        *,
        image_size: int,
        unet: Mapping[str, Any],
        text: Mapping[str, Any] | None,
        process: Process,
        drop: float,
        likelihood_steps: int,
        labels: int = 0,
        inpaint: bool = False,
        upsample: bool = False,
        embedding: int = 0,
        drop_embedding: float = 0.0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.process, self.drop, self.drop_embedding = process, drop, drop_embedding
        self.likelihood_steps = likelihood_steps
        self.sampler = Sampling("dpm_solver", steps=20)
        self.network = TextUNet(
            UNetShape(**unet),
            out=process.outputs * channels,
            text=text,
            labels=labels,
            inpaint=inpaint,
            upsample=upsample,
            embedding=embedding,
            channels=channels,
        )
        told = {"text": text is not None, "label": labels > 0}
        self.labels = labels
        self.capabilities = replace(
            self.capabilities, conditions=frozenset(name for name, has in told.items() if has)
        )
        if not process.bounded:
            self.capabilities = replace(self.capabilities, likelihood=None)

    def check(self, batch: Batch) -> None:
        least, most = int(batch.label.min()), int(batch.label.max())
        if self.labels and not 0 <= least <= most < self.labels:
            raise UsageError(
                f"model.labels={self.labels}, and the data's classes go from {least} to {most}",
                "give as many as the data has, or 0",
            )

    def compilable(self) -> list[nn.Module]:
        return [self.network.unet]

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        return self.losses_given(batch.condition, batch, noise=noise)

    def losses_given(self, cond: Condition, batch: Batch, *, noise: Noise) -> Losses:
        """As `losses`, for other conditions than the batch's own."""
        reading = self._read(self._dropped(cond, noise))
        shown = self.shown(batch, noise=noise)
        return self.process.losses(
            lambda x, times: self.network(x, times, reading, shown), batch.image, noise=noise
        )

    def shown(self, batch: Batch, *, noise: Noise) -> Shown | None:
        """What training lets the network see beside the noisy image."""
        return None

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Denoised images, by `self.sampler`.

        Guidance is `identity`, a `ClassifierFree` or a `Classifier`.
        """
        return self.draw(cond, shape, noise=noise, guidance=guidance)

    def draw(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
        shown: Shown | None = None,
        start: Images | None = None,
        towards: tuple[Condition, float] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """As `sample`, with what the network is shown; estimates keep a known part of an image.

        Args:
            cond: as for `sample`.
            shape: as for `sample`.
            noise: as for `sample`.
            guidance: as for `sample`.
            shown: what the network sees beside x_t.
            start: where the way begins, standard normal numbers such as `inverted` gives; None to
                draw them.
            towards: other conditions, and how far what is read, and what a classifier asks for,
                goes towards theirs.
        """
        schedule = self.process.schedule(self.sampler.steps)
        guided = isinstance(guidance, ClassifierFree)
        network = NetworkDenoiser(
            self.network,
            self.process,
            schedule,
            self._read(cond) if towards is None else self._mixed(cond, *towards),
            self._read(captionless(cond)) if guided else None,
            shown,
        )
        denoise: Denoiser = network
        if guided:
            denoise = guide.classifier_free(
                network, scale=guidance.scale, schedule=schedule, interval=guidance.interval
            )
        denoise = self.sampler.confined(denoise)
        if shown is not None and shown.image is not None and shown.mask is not None:
            denoise = guide.known_region(denoise, image=shown.image, mask=shown.mask)
        if isinstance(guidance, Classifier):
            asked = guidance.towards(cond)
            if towards is not None:
                asked = mixed(asked, guidance.towards(towards[0]), towards[1])
            denoise = self.sampler.steered(
                denoise, asked, schedule, noise_aware=guidance.noise_aware
            )
        images = self.sampler.draw(
            denoise,
            start=noise.child("start").normal(*shape) if start is None else start,
            schedule=schedule,
            noise=noise.child("steps"),
        )
        return images.clamp(-1, 1)

    def inverted(
        self, cond: Condition, images: Float[Tensor, "b c h w"], *, steps: int
    ) -> Float[Tensor, "b c h w"]:
        """The noise from which `ddim` draws these images (arXiv 2010.02502, section 4.3).

        Args:
            cond: what the images show.
            images: in [-1, 1].
            steps: of the way; more lead back more exactly.
        """
        schedule = self.process.schedule(steps)
        network = NetworkDenoiser(self.network, self.process, schedule, self._read(cond))
        return final(ddim_reversed(guide.clamped(network), images, schedule))

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """The bound of a chain of `likelihood_steps` steps, with one draw of noise a step."""
        return self.bound(batch, None, noise=noise)

    def bound(self, batch: Batch, shown: Shown | None, *, noise: Noise) -> Float[Tensor, " b"]:
        """As `log_prob`, given what the network is shown besides."""
        if not isinstance(self.process, Discrete) or not self.process.bounded:
            raise Unsupported(
                "this process has no variational bound", "use model/process=discrete"
            )
        schedule = self.process.schedule(self.likelihood_steps)
        reading = self._read(batch.condition)
        denoise = guide.clamped(
            NetworkDenoiser(self.network, self.process, schedule, reading, shown=shown)
        )
        x_0 = batch.image
        bits = prior_term(x_0, schedule)
        fresh = noise.child("chain")
        for k in range(len(schedule)):
            x_t = noised(x_0, fresh.normal(*x_0.shape[1:]), schedule.level(k, x_0))
            bits = bits + bound_term(denoise(x_t, k), x_0, schedule, k)
        return -bits * NATS * x_0[0].numel()

    def _mixed(self, cond: Condition, other: Condition, share: float) -> Reading:
        return self._read(cond).towards(self._read(other), share)

    def _read(self, cond: Condition) -> Reading:
        vector = cond.embedding
        if vector is not None:  # numbers of size 1, as of noise and images
            vector = vector * math.sqrt(vector.shape[1])
        return self.network.read(cond.tokens, cond.token_mask, cond.label, vector)

    def _dropped(self, cond: Condition, noise: Noise) -> Condition:
        """Some captions made empty, classes none and embeddings zero, chosen by the noise."""
        kept = noise.child("drop").uniform(1) >= self.drop
        label = torch.where(kept[:, 0], cond.label, -1)
        told = cond.embedding
        if told is not None:
            told = told * (noise.child("drop embedding").uniform(1) >= self.drop_embedding)
        return replace(cond, token_mask=cond.token_mask & kept, label=label, embedding=told)


def captionless(cond: Condition) -> Condition:
    """Nothing for a network to read: no tokens, no classes, embeddings of zeros.

    The words themselves stay, for a CLIP that guides.
    """
    label = torch.full_like(cond.label, -1)
    return replace(
        cond,
        token_mask=torch.zeros_like(cond.token_mask),
        label=label,
        embedding=None if cond.embedding is None else torch.zeros_like(cond.embedding),
    )
