"""task=textdiff: an image edited by the difference of two captions."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genzoo.api.loaded_model import LoadedModel
from genzoo.data.input_images import open_square
from genzoo.machine.console import status
from genzoo.machine.redaction import mentioned
from genzoo.run.check import check_able, check_given, check_sampling, writable
from genzoo.tasks.captions import caption_of, report_truncation
from genzoo.tasks.pictures import save_strip


def run(cfg: DictConfig) -> dict[str, float]:
    """Write the images of the edit, and a strip that starts with the given one."""
    folder = Path(cfg.run.folder) / "textdiff"
    writable(folder)
    check_able(cfg, "edit an image by captions", lambda can: can.text_diff)
    check_sampling(cfg)
    check_given(cfg, image="a.png", source='"a red heart"', target='"a blue heart"')
    source, target = (caption_of(cfg[key], key=key) for key in ("source", "target"))
    given = open_square(cfg.image, cfg.data.image_size)
    trained = LoadedModel.of(cfg)
    cut = report_truncation(trained.tokenizer, source=source, target=target)
    way = trained.text_diff(given, source, target, steps=cfg.steps, strength=float(cfg.strength))
    own = {"source": source, "target": target, "image": mentioned(cfg.image)}
    own["strength"] = cfg.strength
    save_strip(
        folder,
        way,
        before=[given],
        text=trained.about(sampler=trained.model.inversion_sampler)
        | cut
        | {name: str(value) for name, value in own.items()},
    )
    status(f"{cfg.steps} steps: {folder / 'strip.png'}")
    return {}
