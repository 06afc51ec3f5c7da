"""task=sample: sample images from captions with a trained model."""

from __future__ import annotations

import math
import time
from pathlib import Path

from omegaconf import DictConfig

from genzoo.api.loaded_model import LoadedModel, SecondStage
from genzoo.config.second_stage import KEY
from genzoo.core.image import save_png
from genzoo.machine.console import status
from genzoo.run import build, cascade
from genzoo.run.check import check_sampling, writable
from genzoo.tasks.captions import captions_of, report_truncation, report_truncation_by_scorer
from genzoo.tasks.pictures import save_grid
from genzoo.text.length import tokens_cut


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` samples and a grid of them into the run's folder."""
    folder = Path(cfg.run.folder) / "samples"
    writable(folder)
    check_sampling(cfg)
    trained = LoadedModel.of(cfg)
    found = cascade.second_stage(cfg, trained.checkpoint)
    second = None if found is None else SecondStage.of(*found, device=trained.device)
    label = trained.checked_label(cfg.label)
    captions = _captions(cfg)
    cut = tokens_cut(captions, trained.tokenizer)
    if trained.model.reads_captions:
        report_truncation(trained.tokenizer, prompt=captions[: cfg.count])
    elif cfg.prompt is not None:
        status(f"model={cfg.model.name} reads no captions: prompt= changes nothing")
    report_truncation_by_scorer(trained.guidance, captions[: cfg.count])
    if second is not None and second.tokenizer.context < trained.tokenizer.context:
        report_truncation(second.tokenizer, **{KEY: captions[: cfg.count]})
    begin = time.perf_counter()
    images = trained.sample(captions, count=cfg.count, batch=cfg.batch, label=label, second=second)
    seconds = (time.perf_counter() - begin) / cfg.count
    about = trained.about(sampler=trained.model.sampler)
    for i, image in enumerate(images):
        text = {
            "caption": captions[i % len(captions)],
            "prompt_tokens_cut": str(cut[i % len(captions)]),
            "label": str(label),
            "number": str(i),
            **cascade.words(found),
        }
        save_png(folder / f"{i:05d}.png", image, text=about | text)
    columns = cfg.columns or math.ceil(math.sqrt(cfg.count))
    save_grid(folder / "grid.png", images, columns=columns)
    status(
        f"{cfg.count} image{'s' * (cfg.count != 1)}, {seconds:.3g} s each: {folder / 'grid.png'}"
    )
    return {"seconds_per_image": seconds}


def _captions(cfg: DictConfig) -> list[str]:
    """The captions to sample from: what was typed, the lines of a file, or held-out ones."""
    if cfg.prompt is None:
        data = build.build_data(cfg)
        return [data.captions[int(i)] for i in data.split("validation")]
    captions = captions_of(cfg.prompt, key="prompt")
    if len(captions) > cfg.count:
        status(f"count={cfg.count} samples the first {cfg.count} of {len(captions):,} captions")
    return captions
