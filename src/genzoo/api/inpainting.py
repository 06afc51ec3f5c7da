"""Inpainting by one network, or by a cascade of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from genzoo.api.drawing import condition
from genzoo.api.loaded_model import LoadedModel
from genzoo.core.errors import Unsupported
from genzoo.core.image import requantised, to_float, to_uint8
from genzoo.core.noise import Noise
from genzoo.core.region import Region
from genzoo.data.input_images import channels_first
from genzoo.data.source import Pixels
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.inpainting import CanInpaint
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class Stage:
    """One network of the cascade.

    Attributes:
        model: that inpaints.
        size: of its images.
        tokenizer: of its captions.
    """

    model: CanInpaint
    size: int
    tokenizer: Tokenizer

    @classmethod
    def of(cls, model: GenerativeModel, checkpoint: Checkpoint, *, word: str) -> Stage:
        """A trained model, if it can inpaint.

        Raises:
            Unsupported: if it cannot.
        """
        if not isinstance(model, CanInpaint) or not model.inpainting:
            raise Unsupported(
                f"{word} cannot inpaint",
                "train one that can: model=glide model.inpaint=true",
            )
        size = checkpoint.config["data"]["image_size"]
        return cls(model, size, read_tokenizer(checkpoint.about["tokenizer"]))


def redrawn(
    loaded: LoadedModel,
    stages: Sequence[Stage],
    region: Region,
    caption: str,
    *,
    count: int,
    label: int | None = None,
) -> list[Pixels]:
    """Whole images, a part of which is sampled from a caption.

    Args:
        loaded: the first stage; its guidance counts for that alone.
        stages: the networks, the smallest first.
        region: the part that is sampled.
        caption: of that part.
        count: of samples.
        label: a class, for models conditioned on classes.
    """
    device, sampled = loaded.device, None
    with torch.no_grad(), loaded.precision():
        for stage in stages:
            square, known = region.seen(stage.size)
            cond = condition([caption] * count, stage.tokenizer, label=label).to(device)
            if sampled is not None:
                cond = replace(cond, low_res=requantised(sampled))
            seed, names = loaded.cfg.seed, ("inpaint", stage.size)
            sampled = stage.model.to(device).inpaint(
                cond,
                to_float(channels_first(square)).to(device).expand(count, -1, -1, -1),
                torch.from_numpy(known).float().to(device).expand(count, 1, -1, -1),
                noise=Noise.of(seed, range(count), *names, device=device),
                guidance=loaded.guidance if stage is stages[0] else identity,
            )
    assert isinstance(sampled, Tensor)
    return [
        region.put_back(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        for image in to_uint8(sampled).cpu()
    ]
