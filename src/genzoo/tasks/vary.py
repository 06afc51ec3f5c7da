"""task=vary: variations of an image."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from omegaconf import DictConfig

from genzoo.api.loaded_model import LoadedModel
from genzoo.core.image import save_png
from genzoo.data.input_images import open_square
from genzoo.machine.console import status
from genzoo.machine.redaction import mentioned
from genzoo.run.check import check_able, check_captions, check_given, check_sampling, writable
from genzoo.tasks.captions import caption_of, report_truncation, report_truncation_by_scorer
from genzoo.tasks.pictures import save_grid


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` variations, and a grid of them that starts with the image itself."""
    folder = Path(cfg.run.folder) / "versions"
    writable(folder)
    check_able(cfg, "sample variations of an image", lambda can: can.variations)
    check_sampling(cfg)
    check_given(cfg, image="a.png")
    if cfg.guidance.name == "classifier":  # towards what?
        check_given(cfg, prompt='"a red heart"')
    check_captions(cfg, "prompt")
    prompt = caption_of(cfg.prompt, key="prompt")
    given = open_square(cfg.image, cfg.data.image_size)
    trained = LoadedModel.of(cfg)
    cut = report_truncation(trained.tokenizer, prompt=prompt)
    report_truncation_by_scorer(trained.guidance, [prompt or ""])
    images = trained.variations(
        given, prompt, count=cfg.count, batch=cfg.batch, strength=float(cfg.strength)
    )
    about = trained.about(sampler=trained.model.inversion_sampler)
    for i, image in enumerate(images):
        own = {
            "caption": prompt or "",
            "image": mentioned(cfg.image),
            **cut,
            "strength": str(cfg.strength),
            "number": str(i),
        }
        save_png(folder / f"{i:05d}.png", image, text=about | own)
    shown = torch.cat([given[None], images])
    save_grid(folder / "grid.png", shown, columns=math.ceil(math.sqrt(len(shown))))
    said = f"{cfg.count} variation{'s' * (cfg.count != 1)}"
    status(f"{said}, after the image itself: {folder / 'grid.png'}")
    return {}
