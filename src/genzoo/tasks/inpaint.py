"""task=inpaint: sample a part of an image anew, given a caption."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genzoo.api.inpainting import Stage, redrawn
from genzoo.api.loaded_model import LoadedModel
from genzoo.core.image import save_png
from genzoo.core.region import Region
from genzoo.data.input_images import channels_first, open_mask, open_picture
from genzoo.machine.console import status
from genzoo.machine.redaction import mentioned
from genzoo.run import cascade
from genzoo.run.check import check_given, check_sampling, writable
from genzoo.tasks.captions import caption_of, report_truncation, report_truncation_by_scorer


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `count` inpainted images into the run's folder."""
    folder = Path(cfg.run.folder) / "inpainted"
    writable(folder)
    check_sampling(cfg)
    check_given(cfg, image="a.png", mask="m.png", prompt='"a red heart"')
    prompt = caption_of(cfg.prompt, key="prompt") or ""
    image, mask = open_picture(cfg.image), open_mask(cfg.mask)
    trained = LoadedModel.of(cfg)
    base, checkpoint = trained.model, trained.checkpoint
    stages = [Stage.of(base, checkpoint, word=f"this model={cfg.model.name}")]
    enlarging = cascade.second_stage(cfg, checkpoint)
    if enlarging is not None:
        stages.append(Stage.of(*enlarging, word=f"upsampler={cfg.upsampler}"))
    cut = report_truncation(stages[0].tokenizer, prompt=prompt)
    region = Region.around(image, mask, smallest=stages[-1].size)
    status(f"{mask.mean():.2%} of {cfg.image} is sampled anew")
    report_truncation_by_scorer(trained.guidance, [prompt])
    label = trained.checked_label(cfg.label)
    versions = redrawn(trained, stages, region, prompt, count=cfg.count, label=label)
    about = trained.about(sampler=base.sampler)
    for k, whole in enumerate(versions):
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
