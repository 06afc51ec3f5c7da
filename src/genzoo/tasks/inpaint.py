"""task=inpaint: redraw a part of a picture from a caption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from genzoo import build
from genzoo.check import writable
from genzoo.console import say
from genzoo.errors import Unsupported, UsageError
from genzoo.image import save_png, to_float, to_uint8
from genzoo.models.glide import Glide
from genzoo.noise import Noise
from genzoo.region import Region
from genzoo.tasks.sample import condition
from genzoo.text.stored import read_tokenizer

LARGEST = 64_000_000  # pixels of a picture


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` versions of the picture into the run's folder."""
    folder = Path(cfg.run.folder) / "inpainted"
    writable(folder)
    for key in ("image", "mask", "prompt"):
        if cfg[key] is None:
            raise UsageError(f"task=inpaint needs {key}=", "give image=, mask= and prompt=")
    picture = np.asarray(_open(cfg.image).convert("RGB"))
    redraw = np.asarray(_open(cfg.mask).convert("L")) > 127
    model, checkpoint = build.trained_model(cfg)
    if not isinstance(model, Glide) or not model.inpaint:
        raise Unsupported(
            f"this model={cfg.model.name} cannot redraw parts of images",
            "train one that can: model=glide model.inpaint=true",
        )
    size = checkpoint.config["data"]["image_size"]
    region = Region.around(picture, redraw, smallest=size)
    device = build.device(cfg)
    model = model.to(device)
    tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
    captions = [str(cfg.prompt)] * cfg.count
    cond = condition(captions, tokenizer, label=cfg.label).to(device)
    noise = Noise.of(cfg.seed, range(cfg.count), "inpaint", device=device)
    square, known = region.seen(size)
    with torch.no_grad():
        drawn = model.redraw(
            cond,
            to_float(_channels_first(square)).to(device).expand(cfg.count, -1, -1, -1),
            torch.from_numpy(known).float().to(device).expand(cfg.count, 1, -1, -1),
            noise=noise,
            guidance=build.build_guidance(cfg),
        )
    for k, image in enumerate(to_uint8(drawn).cpu()):
        whole = region.put_back(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        text = {
            "caption": str(cfg.prompt),
            "model": cfg.model.name,
            "seed": str(cfg.seed),
            "number": str(k),
            "image": str(cfg.image),
            "mask": str(cfg.mask),
            "sampler": str(model.sampler),
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
