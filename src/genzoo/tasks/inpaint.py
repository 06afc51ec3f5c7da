"""task=inpaint: redraw a part of a picture from a caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from genzoo import build
from genzoo.check import check_drawing, writable
from genzoo.checkpoint import Checkpoint
from genzoo.console import say
from genzoo.errors import Unsupported, UsageError
from genzoo.image import requantised, save_png, to_float, to_uint8
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.glide import Glide
from genzoo.noise import Noise
from genzoo.region import Region
from genzoo.tasks.sample import checked_label, condition
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer

LARGEST = 64_000_000  # pixels of a picture


@dataclass(frozen=True)
class Stage:
    """One network of the cascade.

    Attributes:
        model: that redraws.
        size: of its images.
        tokenizer: of its captions.
    """

    model: Glide
    size: int
    tokenizer: Tokenizer

    @classmethod
    def of(cls, model: GenerativeModel, checkpoint: Checkpoint, *, word: str) -> Stage:
        """A trained model, if it can redraw.

        Raises:
            Unsupported: if it cannot.
        """
        if not isinstance(model, Glide) or not model.inpaint:
            raise Unsupported(
                f"{word} cannot redraw parts of images",
                "train one that can: model=glide model.inpaint=true",
            )
        size = checkpoint.config["data"]["image_size"]
        return cls(model, size, read_tokenizer(checkpoint.about["tokenizer"]))


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` versions of the picture into the run's folder."""
    folder = Path(cfg.run.folder) / "inpainted"
    writable(folder)
    check_drawing(cfg)
    for key in ("image", "mask", "prompt"):
        if cfg[key] is None:
            raise UsageError(f"task=inpaint needs {key}=", "give image=, mask= and prompt=")
    picture = np.asarray(_open(cfg.image).convert("RGB"))
    redraw = np.asarray(_open(cfg.mask).convert("L")) > 127
    base, checkpoint = build.trained_model(cfg)
    stages = [Stage.of(base, checkpoint, word=f"this model={cfg.model.name}")]
    enlarging = build.trained_upsampler(cfg, checkpoint)
    if enlarging is not None:
        stages.append(Stage.of(*enlarging, word=f"upsampler={cfg.upsampler}"))
    region = Region.around(picture, redraw, smallest=stages[-1].size)
    device = build.device(cfg)
    guidance = build.build_guidance(cfg)
    label = checked_label(cfg, base, guidance)
    drawn: Tensor | None = None
    with torch.no_grad():
        for stage in stages:
            square, known = region.seen(stage.size)
            captions = [str(cfg.prompt)] * cfg.count
            cond = condition(captions, stage.tokenizer, label=label).to(device)
            if drawn is not None:
                cond = replace(cond, low_res=requantised(drawn))
            drawn = stage.model.to(device).redraw(
                cond,
                to_float(_channels_first(square)).to(device).expand(cfg.count, -1, -1, -1),
                torch.from_numpy(known).float().to(device).expand(cfg.count, 1, -1, -1),
                noise=Noise.of(cfg.seed, range(cfg.count), "inpaint", stage.size, device=device),
                guidance=guidance if stage is stages[0] else identity,
            )
    assert drawn is not None
    steered = build.guidance_words(cfg)
    for k, image in enumerate(to_uint8(drawn).cpu()):
        whole = region.put_back(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        text = {
            "caption": str(cfg.prompt),
            "model": cfg.model.name,
            "seed": str(cfg.seed),
            "number": str(k),
            "image": str(cfg.image),
            "mask": str(cfg.mask),
            "label": str(label),
            "guidance": steered,
            "sampler": str(stages[0].model.sampler),
            "upsampler": "none" if enlarging is None else str(enlarging[1].path),
            "software": f"genzoo {checkpoint.about['version']}",
        }
        save_png(folder / f"{k:05d}.png", _channels_first(whole), text=text)
    say(f"{cfg.count} versions: {folder}")
    return {}


def _open(path: str) -> Image.Image:
    """A picture, turned as its camera meant it."""
    try:
        picture = Image.open(Path(path).expanduser())
        if picture.width * picture.height > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST:,} pixels", "make it smaller")
        turned: Image.Image = ImageOps.exif_transpose(picture)
        return turned
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(f"cannot read {path} ({error})", "name a PNG or JPEG file") from error


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
