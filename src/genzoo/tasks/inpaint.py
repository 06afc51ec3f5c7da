"""task=inpaint: sample a part of an image anew, given a caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.api.drawing import condition
from genzoo.api.loaded_model import LoadedModel
from genzoo.core.errors import Unsupported
from genzoo.core.image import requantised, save_png, to_float, to_uint8
from genzoo.core.noise import Noise
from genzoo.core.region import Region
from genzoo.machine.console import status
from genzoo.machine.redaction import mentioned
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.glide import Glide
from genzoo.run import cascade
from genzoo.run.check import check_drawing, check_given, writable
from genzoo.tasks.captions import caption_of, report_truncation, say_cut_by_guide
from genzoo.tasks.input_images import channels_first, open_mask, open_picture
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

    model: Glide
    size: int
    tokenizer: Tokenizer

    @classmethod
    def of(cls, model: GenerativeModel, checkpoint: Checkpoint, *, word: str) -> Stage:
        """A trained model, if it can inpaint.

        Raises:
            Unsupported: if it cannot.
        """
        if not isinstance(model, Glide) or not model.inpainting:
            raise Unsupported(
                f"{word} cannot inpaint",
                "train one that can: model=glide model.inpaint=true",
            )
        size = checkpoint.config["data"]["image_size"]
        return cls(model, size, read_tokenizer(checkpoint.about["tokenizer"]))


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` inpainted images into the run's folder."""
    folder = Path(cfg.run.folder) / "inpainted"
    writable(folder)
    check_drawing(cfg)
    check_given(cfg, image="a.png", mask="m.png", prompt='"a red heart"')
    prompt = caption_of(cfg.prompt, key="prompt") or ""
    picture, redraw = open_picture(cfg.image), open_mask(cfg.mask)
    trained = LoadedModel.of(cfg)
    base, checkpoint = trained.model, trained.checkpoint
    stages = [Stage.of(base, checkpoint, word=f"this model={cfg.model.name}")]
    enlarging = cascade.second_stage(cfg, checkpoint)
    if enlarging is not None:
        stages.append(Stage.of(*enlarging, word=f"upsampler={cfg.upsampler}"))
    cut = report_truncation(stages[0].tokenizer, prompt=prompt)
    region = Region.around(picture, redraw, smallest=stages[-1].size)
    status(f"{redraw.mean():.2%} of {cfg.image} is sampled anew")
    device, guidance = trained.device, trained.guidance
    say_cut_by_guide(guidance, [prompt])
    label = trained.checked_label(cfg.label)
    drawn: Tensor | None = None
    with torch.no_grad(), trained.precision():
        for stage in stages:
            square, known = region.seen(stage.size)
            captions = [prompt] * cfg.count
            cond = condition(captions, stage.tokenizer, label=label).to(device)
            if drawn is not None:
                cond = replace(cond, low_res=requantised(drawn))
            drawn = stage.model.to(device).inpaint(
                cond,
                to_float(channels_first(square)).to(device).expand(cfg.count, -1, -1, -1),
                torch.from_numpy(known).float().to(device).expand(cfg.count, 1, -1, -1),
                noise=Noise.of(cfg.seed, range(cfg.count), "inpaint", stage.size, device=device),
                guidance=guidance if stage is stages[0] else identity,
            )
    assert drawn is not None
    about = trained.about(sampler=base.sampler)
    for k, image in enumerate(to_uint8(drawn).cpu()):
        whole = region.put_back(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        text = {
            "caption": prompt,
            **cut,
            "number": str(k),
            "image": mentioned(cfg.image),
            "mask": mentioned(cfg.mask),
            "label": str(label),
            **cascade.words(enlarging),
        }
        save_png(folder / f"{k:05d}.png", channels_first(whole), text=about | text)
    status(f"{cfg.count} image{'s' * (cfg.count != 1)}: {folder}")
    return {}
