"""task=sample: draw pictures from captions with a trained model."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from omegaconf import DictConfig

from genzoo import build
from genzoo.check import writable
from genzoo.console import Progress, say
from genzoo.errors import UsageError
from genzoo.image import grid, save_png
from genzoo.tasks.pictures import draw
from genzoo.text.bpe import BPETokenizer
from genzoo.types import Condition


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` pictures and a grid of them into the run's folder."""
    folder = Path(cfg.run.folder) / "samples"
    writable(folder)
    if cfg.count < 1:
        raise UsageError(f"count={cfg.count} draws nothing", "write count=1 or more")
    model, checkpoint = build.trained_model(cfg)
    device = build.device(cfg)
    model = model.to(device)
    tokenizer = BPETokenizer.from_json(checkpoint.about["tokenizer"])
    guidance = build.build_guidance(cfg)
    captions = _captions(cfg)
    size = checkpoint.config["data"]["image_size"]
    pictures, begin = [], time.perf_counter()
    with Progress("drawing", cfg.count) as progress:
        for start in range(0, cfg.count, cfg.batch):
            numbers = list(range(start, min(start + cfg.batch, cfg.count)))
            cond = condition([captions[i % len(captions)] for i in numbers], tokenizer)
            pictures.append(
                draw(
                    model,
                    cond,
                    (3, size, size),
                    seed=cfg.seed,
                    indices=numbers,
                    device=device,
                    guidance=guidance,
                )
            )
            progress.at(numbers[-1] + 1)
    images = torch.cat(pictures)
    seconds = (time.perf_counter() - begin) / cfg.count
    for i, image in enumerate(images):
        text = {
            "caption": captions[i % len(captions)],
            "model": cfg.model.name,
            "seed": str(cfg.seed),
            "number": str(i),
            "guidance": build.guidance_words(cfg),
            "sampler": "none" if model.sampler is None else str(model.sampler),
            "checkpoint": str(checkpoint.path),
            "software": f"genzoo {checkpoint.about['version']}",
        }
        save_png(folder / f"{i:05d}.png", image, text=text)
    columns = cfg.columns or math.ceil(math.sqrt(cfg.count))
    save_png(folder / "grid.png", grid(images, columns=columns), scale=4 if size < 64 else 2)
    say(f"{cfg.count} pictures, {seconds:.3g} s each: {folder / 'grid.png'}")
    return {"seconds_per_image": seconds}


def _captions(cfg: DictConfig) -> list[str]:
    """The captions to draw: what was typed, the lines of a file, or held-out ones."""
    if cfg.prompt is None:
        data = build.build_data(cfg)
        return [data.captions[int(i)] for i in data.split("validation")]
    if str(cfg.prompt).endswith(".txt"):
        path = Path(cfg.prompt).expanduser()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"cannot read the captions in {path} ({error})", "name a text file in UTF-8"
            ) from error
        captions = [line.strip() for line in lines if line.strip()]
        if not captions:
            raise UsageError(f"{path} has no captions", "write one caption a line")
        return captions
    return [str(cfg.prompt)]


def condition(captions: list[str], tokenizer: BPETokenizer) -> Condition:
    """What captions alone ask for."""
    tokens, mask = tokenizer.encode(captions)
    return Condition(tuple(captions), tokens, mask, torch.full((len(captions),), -1))
