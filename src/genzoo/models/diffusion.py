"""A text-conditional diffusion model: images by removing noise step by step.

The process (noise schedule, what the network predicts) is an argument, and so is the shape of the
U-Net; sampler and guidance are chosen for sampling.
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
from genzoo.diffusion import wrappers
from genzoo.diffusion.guidance import Classifier, ClassifierFree, mixed
from genzoo.diffusion.likelihood import NATS, prior_term, vlb_term
from genzoo.diffusion.network import ImageConditioning, TextConditioning, TextUNet
from genzoo.diffusion.predict import Denoiser, Images, Prediction, add_noise
from genzoo.diffusion.process import Discrete, Process
from genzoo.diffusion.sampler import ddim_inversion, final
from genzoo.diffusion.sampling import Sampling
from genzoo.diffusion.schedule import Schedule
from genzoo.models.base import GenerativeModel, identity
from genzoo.nn.unet import UNetShape, unet_size_unit


@dataclass(frozen=True)
class NetworkDenoiser:
    """A network with its condition, in the form that samplers call.

    Attributes:
        network: a `TextUNet`, or a function with its arguments.
        process: it was trained on.
        schedule: of the sampling.
        text_cond: features of the condition.
        unconditional: features of the empty condition, for classifier-free guidance.
        image_cond: input channels beside x_t.
    """

    network: Callable[[Tensor, Tensor, TextConditioning, ImageConditioning | None], Tensor]
    process: Process
    schedule: Schedule
    text_cond: TextConditioning
    unconditional: TextConditioning | None = None
    image_cond: ImageConditioning | None = None

    def __call__(self, x_t: Images, step: int) -> Prediction:
        return self._predict(x_t, step, self.text_cond, self.image_cond)

    def with_and_without_condition(self, x_t: Images, step: int) -> tuple[Prediction, Prediction]:
        """With the condition and without it, in one batched evaluation."""
        assert self.unconditional is not None
        text_cond = self.text_cond.cat(self.unconditional)
        image_cond = None if self.image_cond is None else self.image_cond.twice()
        together = self._predict(x_t.repeat(2, 1, 1, 1), step, text_cond, image_cond)
        return together[: len(x_t)], together[len(x_t) :]

    def _predict(
        self,
        x_t: Images,
        step: int,
        text_cond: TextConditioning,
        image_cond: ImageConditioning | None,
    ) -> Prediction:
        def network(x: Tensor, times: Tensor) -> Tensor:
            out: Tensor = self.network(x, times, text_cond, image_cond)
            return out

        return self.process.predict(network, x_t, self.schedule, step)


class Diffusion(GenerativeModel):
    """p(image | caption) as a chain of small denoising steps.

    Args:
        image_size: height and width of the images.
        unet: arguments of `UNetShape`.
        text: arguments of the `TextEncoder`; None for a model without captions.
        labels: classes that it is conditioned on, besides captions or instead; 0 for none.
        process: what it is trained on.
        drop: share of captions that are replaced by the empty one in training (GLIDE, arXiv
            2112.10741, section 4.1), for classifier-free guidance.
        likelihood_steps: of the variational bound of the likelihood; more are tighter.
        inpaint: whether the network is conditioned on a masked image (see `TextUNet`).
        upsample: whether the network is conditioned on a smaller image.
        embedding: size of the image's CLIP embedding that it is conditioned on; 0 for none.
        drop_embedding: share of embeddings that are replaced by zeros in training.
        channels: of the images.
    """

    capabilities = Capabilities(
        sampling="denoising from Gaussian noise",
        conditions=frozenset({"text"}),
        samplers=True,
        guidance=frozenset({"classifier_free", "classifier"}),
        likelihood="bound",
    )

    sampler: Sampling  # may be set to another one at any time

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
        known = {"text": text is not None, "label": labels > 0}
        self.labels = labels
        self.capabilities = replace(
            self.capabilities, conditions=frozenset(name for name, has in known.items() if has)
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
        text_cond = self._encode_condition(self._dropped(cond, noise))
        image_cond = self.image_conditioning(batch, noise=noise)
        return self.process.losses(
            lambda x, times: self.network(x, times, text_cond, image_cond),
            batch.image,
            noise=noise,
        )

    def image_conditioning(self, batch: Batch, *, noise: Noise) -> ImageConditioning | None:
        """The image conditioning in training."""
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
        return self.sample_from(cond, shape, noise=noise, guidance=guidance)

    def sample_from(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
        image_cond: ImageConditioning | None = None,
        start: Images | None = None,
        blend: tuple[Condition, float] | None = None,
        sampler: Sampling | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """As `sample`, from given noise and with image conditioning; a known part is kept.

        Args:
            cond: as for `sample`.
            shape: as for `sample`.
            noise: as for `sample`.
            guidance: as for `sample`.
            image_cond: input channels beside x_t.
            start: standard normal noise, such as `invert` returns; None to sample it.
            blend: other conditions and their weight, from 0 to 1, in an interpolation of text
                features and of a scorer's log-likelihood.
            sampler: None for `self.sampler`.
        """
        sampler = sampler or self.sampler
        schedule = self.process.schedule(sampler.steps)
        guided = isinstance(guidance, ClassifierFree)
        network = NetworkDenoiser(
            self.network,
            self.process,
            schedule,
            self._encode_condition(cond) if blend is None else self._mixed(cond, *blend),
            self._encode_condition(captionless(cond)) if guided else None,
            image_cond,
        )
        denoise: Denoiser = network
        if guided:
            denoise = wrappers.classifier_free(
                network, scale=guidance.scale, schedule=schedule, interval=guidance.interval
            )
        denoise = sampler.thresholded(denoise)
        if image_cond is not None and image_cond.image is not None and image_cond.mask is not None:
            denoise = wrappers.inpainting(denoise, image=image_cond.image, mask=image_cond.mask)
        if isinstance(guidance, Classifier):
            asked = guidance.log_likelihood(cond)
            if blend is not None:
                asked = mixed(asked, guidance.log_likelihood(blend[0]), blend[1])
            denoise = sampler.guided(denoise, asked, schedule, noise_aware=guidance.noise_aware)
        images = sampler.sample(
            denoise,
            start=noise.child("start").normal(*shape) if start is None else start,
            schedule=schedule,
            noise=noise.child("steps"),
        )
        return images.clamp(-1, 1)

    def invert(
        self, cond: Condition, images: Float[Tensor, "b c h w"], *, steps: int
    ) -> Float[Tensor, "b c h w"]:
        """The noise from which `ddim` reconstructs these images (arXiv 2010.02502, section 4.3).

        Args:
            cond: of the images.
            images: in [-1, 1].
            steps: more are more exact.
        """
        schedule = self.process.schedule(steps)
        network = NetworkDenoiser(
            self.network, self.process, schedule, self._encode_condition(cond)
        )
        return final(ddim_inversion(wrappers.static_threshold(network), images, schedule))

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """The bound of a chain of `likelihood_steps` steps, with one noise sample a step."""
        return self.bound(batch, None, noise=noise)

    def bound(
        self, batch: Batch, image_cond: ImageConditioning | None, *, noise: Noise
    ) -> Float[Tensor, " b"]:
        """As `log_prob`, given the image conditioning."""
        if not isinstance(self.process, Discrete) or not self.process.bounded:
            raise Unsupported(
                "this process has no variational bound", "use model/process=discrete"
            )
        schedule = self.process.schedule(self.likelihood_steps)
        text_cond = self._encode_condition(batch.condition)
        denoise = wrappers.static_threshold(
            NetworkDenoiser(self.network, self.process, schedule, text_cond, image_cond=image_cond)
        )
        x_0 = batch.image
        bits = prior_term(x_0, schedule)
        fresh = noise.child("chain")
        for k in range(len(schedule)):
            x_t = add_noise(x_0, fresh.normal(*x_0.shape[1:]), schedule.level(k, x_0))
            bits = bits + vlb_term(denoise(x_t, k), x_0, schedule, k)
        return -bits * NATS * x_0[0].numel()

    def _mixed(self, cond: Condition, other: Condition, share: float) -> TextConditioning:
        return self._encode_condition(cond).lerp(self._encode_condition(other), share)

    def _encode_condition(self, cond: Condition) -> TextConditioning:
        vector = cond.embedding
        if vector is not None:  # of unit variance, as noise and images are
            vector = vector * math.sqrt(vector.shape[1])
        return self.network.encode_condition(cond.tokens, cond.token_mask, cond.label, vector)

    def _dropped(self, cond: Condition, noise: Noise) -> Condition:
        """The condition with a random part of captions, classes and embeddings dropped."""
        kept = noise.child("drop").uniform(1) >= self.drop
        label = torch.where(kept[:, 0], cond.label, -1)
        embedding = cond.embedding
        if embedding is not None:
            embedding = embedding * (
                noise.child("drop embedding").uniform(1) >= self.drop_embedding
            )
        return replace(cond, token_mask=cond.token_mask & kept, label=label, embedding=embedding)


def captionless(cond: Condition) -> Condition:
    """The unconditional condition: no tokens, no classes, embeddings of zeros.

    The captions themselves are kept, for a CLIP that guides.
    """
    label = torch.full_like(cond.label, -1)
    return replace(
        cond,
        token_mask=torch.zeros_like(cond.token_mask),
        label=label,
        embedding=None if cond.embedding is None else torch.zeros_like(cond.embedding),
    )
