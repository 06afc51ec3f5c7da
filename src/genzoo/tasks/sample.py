"""task=sample: draw pictures from captions with a trained model."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.config.second_stage import KEY
from genzoo.core.errors import UsageError
from genzoo.core.image import save_png, to_float
from genzoo.core.noise import split_seed
from genzoo.core.types import Condition
from genzoo.machine.console import Progress, status
from genzoo.models.base import GenerativeModel
from genzoo.run import build, cascade, devices, loading, scorers
from genzoo.run.check import check_drawing, writable
from genzoo.tasks.captions import captions_of, report_truncation, say_cut_by_guide
from genzoo.tasks.pictures import about_pictures, sample_images, save_grid
from genzoo.text.length import tokens_cut
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import Checkpoint


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` pictures and a grid of them into the run's folder."""
    folder = Path(cfg.run.folder) / "samples"
    writable(folder)
    check_drawing(cfg)
    model, checkpoint = loading.trained_model(cfg)
    device = devices.device(cfg)
    model = model.to(device)
    enlarging = cascade.second_stage(cfg, checkpoint)
    larger = None if enlarging is None else _SecondStage(*enlarging, device)
    tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
    guidance = scorers.build_guidance(cfg)
    label = checked_label(cfg, model, guidance)
    captions = _captions(cfg)
    cut = tokens_cut(captions, tokenizer)
    if model.reads_captions:
        report_truncation(tokenizer, prompt=captions[: cfg.count])
    elif cfg.prompt is not None:
        status(f"model={cfg.model.name} reads no captions: prompt= changes nothing")
    say_cut_by_guide(guidance, captions[: cfg.count])
    if larger is not None and larger.tokenizer.context < tokenizer.context:
        report_truncation(larger.tokenizer, **{KEY: captions[: cfg.count]})
    size = checkpoint.config["data"]["image_size"]
    pictures, begin = [], time.perf_counter()
    with Progress("drawing", cfg.count) as progress, devices.precision(cfg)():
        for start in range(0, cfg.count, cfg.batch):
            numbers = list(range(start, min(start + cfg.batch, cfg.count)))
            own = [captions[i % len(captions)] for i in numbers]
            cond = condition(own, tokenizer, label=label)
            drawn = sample_images(
                model,
                cond,
                (3, size, size),
                seed=cfg.seed,
                indices=numbers,
                device=device,
                guidance=guidance,
            )
            if larger is not None:
                drawn = larger.enlarged(drawn, cond, seed=cfg.seed, indices=numbers)
            pictures.append(drawn)
            progress.at(numbers[-1] + 1)
    images = torch.cat(pictures)
    seconds = (time.perf_counter() - begin) / cfg.count
    about = about_pictures(cfg, model, checkpoint, sampler=model.sampler)
    for i, image in enumerate(images):
        text = {
            "caption": captions[i % len(captions)],
            "prompt_tokens_cut": str(cut[i % len(captions)]),
            "label": str(label),
            "number": str(i),
            **cascade.words(enlarging),
        }
        save_png(folder / f"{i:05d}.png", image, text=about | text)
    columns = cfg.columns or math.ceil(math.sqrt(cfg.count))
    save_grid(folder / "grid.png", images, columns=columns)
    status(
        f"{cfg.count} picture{'s' * (cfg.count != 1)}, {seconds:.3g} s each: {folder / 'grid.png'}"
    )
    return {"seconds_per_image": seconds}


class _SecondStage:
    """The second stage of a cascade."""

    def __init__(
        self, model: GenerativeModel, checkpoint: Checkpoint, device: torch.device
    ) -> None:
        self.model, self.device = model.to(device), device
        self.size = checkpoint.config["data"]["image_size"]
        self.tokenizer = read_tokenizer(checkpoint.about["tokenizer"])

    def enlarged(self, small: Tensor, cond: Condition, *, seed: int, indices: list[int]) -> Tensor:
        """8-bit images and their captions to larger 8-bit images."""
        own = condition(list(cond.caption), self.tokenizer)
        return sample_images(
            self.model,
            replace(own, low_res=to_float(small)),
            (3, self.size, self.size),
            seed=split_seed(seed, "upsample"),
            indices=indices,
            device=self.device,
        )


def _captions(cfg: DictConfig) -> list[str]:
    """The captions to draw: what was typed, the lines of a file, or held-out ones."""
    if cfg.prompt is None:
        data = build.build_data(cfg)
        return [data.captions[int(i)] for i in data.split("validation")]
    captions = captions_of(cfg.prompt, key="prompt")
    if len(captions) > cfg.count:
        status(f"count={cfg.count} draws the first {cfg.count} of {len(captions):,} captions")
    return captions


def checked_label(cfg: DictConfig, model: GenerativeModel, guidance: Any) -> int | None:
    """The class that is asked for, if any.

    Raises:
        UsageError: where nothing knows classes, or not this one.
    """
    if cfg.label is None:
        return None
    scorer = getattr(guidance, "scorer", None)
    classes = getattr(model, "labels", 0) or getattr(scorer, "labels", 0)
    if not classes:
        raise UsageError(
            f"label={cfg.label} means nothing to model={cfg.model.name}, which is told no classes",
            "leave it away, or guide by a classifier: guidance=classifier",
        )
    if not isinstance(cfg.label, int) or not 0 <= cfg.label < classes:
        raise UsageError(
            f"label={cfg.label} is none of the classes 0 to {classes - 1}", "write one of them"
        )
    return int(cfg.label)


def condition(captions: list[str], tokenizer: Tokenizer, *, label: int | None = None) -> Condition:
    """What captions ask for, and a class if one is named."""
    tokens, mask = tokenizer.encode(captions)
    labels = torch.full((len(captions),), -1 if label is None else label)
    return Condition(tuple(captions), tokens, mask, labels)
