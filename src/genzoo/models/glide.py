"""GLIDE (Nichol et al., arXiv 2112.10741): diffusion from captions, upsampling and inpainting.

Two networks make a cascade: the base samples a small image from a caption, the upsampler a large
one from the small one and the caption. Either may be trained for inpainting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.image import requantised
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Condition
from genzoo.diffusion.masks import random_masks
from genzoo.diffusion.network import ImageConditioning
from genzoo.models.base import identity
from genzoo.models.diffusion import Diffusion
from genzoo.models.inpainting import CanInpaint

Stage = Literal["base", "upsample"]


class Glide(Diffusion, CanInpaint):
    """One stage of the cascade.

    Args:
        size: name of what `unet` and `text` come from; kept for the record.
        stage: base or upsample.
        low_size: height and width of the small images that the upsampler is conditioned on.
        inpaint: whether it is trained for inpainting.
        **arguments: as for `Diffusion`.
    """

    low_size: int

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        stages = get_args(Stage)
        if settings["stage"] not in stages:
            raise UsageError(
                f"there is no model.stage={settings['stage']} of model={settings['name']}",
                f"use one of {', '.join(stages)}",
            )
        size, low = settings["image_size"], settings["low_size"]
        if settings["stage"] == "upsample" and low >= size:
            raise UsageError(
                f"model.low_size={low} is not below data.image_size={size}, to which it is "
                "enlarged",
                "write a smaller model.low_size= or a larger data.image_size=",
            )

    def __init__(
        self, *, size: str, stage: Stage, low_size: int, inpaint: bool, **arguments: Any
    ) -> None:
        super().__init__(inpaint=inpaint, upsample=stage == "upsample", **arguments)
        self.size = size
        self.stage, self.low_size, self.inpainting = stage, low_size, inpaint
        if stage == "upsample":
            self.capabilities = replace(
                self.capabilities,
                sampling="denoising, given a small image",
                conditions=frozenset({"text", "low_res"}),
            )

    def image_conditioning(self, batch: Batch, *, noise: Noise) -> ImageConditioning | None:
        image = batch.image
        mask = (
            random_masks(image.shape[-1], noise=noise.child("mask")) if self.inpainting else None
        )
        low_res = self.downsample(image) if self.stage == "upsample" else None
        return ImageConditioning(image if self.inpainting else None, mask, low_res)

    def downsample(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """The images at the base's size, rounded to 8 bit as the base's samples are."""
        return requantised(F.interpolate(images, (self.low_size,) * 2, mode="area"))

    def with_low_res(self, cond: Condition, images: Float[Tensor, "b c h w"]) -> Condition:
        return replace(cond, low_res=self.downsample(images))

    def sample(
        self,
        cond: Condition,
        shape: tuple[int, int, int],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        """Denoised images; an upsampler upsamples `cond.low_res`.

        Raises:
            Unsupported: for an upsampler without `cond.low_res`.
        """
        image_cond = None
        if self.stage == "upsample":
            if cond.low_res is None:
                raise Unsupported(
                    "model.stage=upsample samples nothing without a small image",
                    "give it a base: checkpoint=<base> upsampler=<this one>; "
                    "or use task=evaluate, which upsamples images of the data",
                )
            image_cond = ImageConditioning(low_res=cond.low_res)
        return self.sample_from(cond, shape, noise=noise, guidance=guidance, image_cond=image_cond)

    def inpaint(
        self,
        cond: Condition,
        images: Float[Tensor, "b c h w"],
        known: Float[Tensor, "b 1 h w"],
        *,
        noise: Noise,
        guidance: Any = identity,
    ) -> Float[Tensor, "b c h w"]:
        if not self.inpainting:
            raise Unsupported("this model cannot inpaint", "train one with model.inpaint=true")
        image_cond = ImageConditioning(images, known, cond.low_res)
        shape = (images.shape[1], images.shape[2], images.shape[3])
        sampled = self.sample_from(
            cond, shape, noise=noise, guidance=guidance, image_cond=image_cond
        )
        return sampled * (1 - known) + images * known

    def log_prob(self, batch: Batch, *, noise: Noise) -> Float[Tensor, " b"]:
        """The variational bound; of an upsampler, given the small image."""
        upsample = self.stage == "upsample"
        image_cond = ImageConditioning(low_res=self.downsample(batch.image)) if upsample else None
        return self.bound(batch, image_cond, noise=noise)
