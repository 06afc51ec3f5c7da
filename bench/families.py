"""Every family with settings that train in a second or two, on shapes that need no files."""

from __future__ import annotations

from collections.abc import Mapping

_UNET = ("model.unet.width=8", "model.unet.head_channels=8", "sampler.steps=2")
_CODER = ("model.latent=8", "model.widths=[8,16]")

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "autoencoder": ("model=autoencoder", *_CODER),
    "vae": ("model=vae", *_CODER),
    "glow": ("model=flow", "model.arch.levels=1", "model.arch.steps=2", "model.arch.width=8"),
    "tarflow": ("model=flow", "model/arch=tarflow", "model.arch.layers=[1,1]",
                "model.arch.width=16", "model.arch.heads=2"),
    "diffusion": ("model=diffusion", *_UNET, "model.likelihood_steps=2"),
    "glide": ("model=glide", "model.size=tiny", *_UNET, "model.likelihood_steps=2"),
    "gan": ("model=gan", "model.latent=8", "model.features=16", "model.generator.widths=[8,16]",
            "model.discriminator.widths=[8,16]", "model.augmentation.mode=adaptive",
            "model.augmentation.images=500", "optimizer.discriminator.steps=2"),
    "clip": ("model=clip", "model.image.layers=1", "model.text.layers=1",
             "optimizer.accumulate=1"),  # its loss is over the images of one step
    "noisy_classifier": ("model=noisy_classifier", *_UNET[:2]),
    "unclip": ("model=unclip", "clip=../clip/undisturbed", "model.decoder.unet.width=8",
               "model.decoder.unet.head_channels=8", "sampler.steps=2", "model.prior.steps=2",
               "model.prior.network.layers=1"),
}  # fmt: skip

SMALL = (
    "data=shapes", "data.source.count=120", "data.image_size=16", "optimizer.batch_size=8",
    "trainer.gpus=0", "logger=none", "metrics.images=8", "metrics.real_images=16",
    "metrics.copies_among=0",
    "metrics.held_out_images=8", "metrics.batch=8", "metrics.splits=2",
)  # fmt: skip
