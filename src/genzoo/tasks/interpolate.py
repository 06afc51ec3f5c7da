"""task=interpolate: between two images, or between two captions."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genzoo.api.loaded_model import LoadedModel
from genzoo.core.errors import UsageError
from genzoo.data.input_images import open_square
from genzoo.machine.console import status
from genzoo.machine.redaction import mentioned
from genzoo.run.check import check_able, check_captions, check_given, check_sampling, writable
from genzoo.tasks.captions import caption_of, report_truncation
from genzoo.tasks.pictures import save_strip


def run(cfg: DictConfig) -> dict[str, float]:
    """Write the images of the interpolation, and a strip with given images at its ends."""
    folder = Path(cfg.run.folder) / "interpolation"
    writable(folder)
    if all(cfg[name] is None for name in ("image", "end", "prompt", "end_prompt")):
        raise UsageError(
            "task=interpolate needs two images or two captions",
            'give image=a.png end=b.png, or prompt="a red heart" end_prompt="a blue heart"',
        )
    kind = "captions" if cfg.image is None and cfg.end is None else "images"
    check_able(
        cfg,
        f"interpolate between {kind}",
        lambda can: kind in can.interpolate,
    )
    check_sampling(cfg)
    if kind == "images":
        check_given(cfg, image="a.png", end="b.png")
    else:
        check_given(cfg, prompt='"a red heart"', end_prompt='"a blue heart"')
    check_captions(cfg, "prompt", "end_prompt")
    prompt, end_prompt = (caption_of(cfg[key], key=key) for key in ("prompt", "end_prompt"))
    size = cfg.data.image_size
    given = [open_square(path, size) for path in (cfg.image, cfg.end) if path is not None]
    trained = LoadedModel.of(cfg)
    # A prompt for the first image alone is used for both.
    captions = prompt, prompt if end_prompt is None else end_prompt
    cut = report_truncation(trained.tokenizer, prompt=prompt, end_prompt=end_prompt)
    way = trained.interpolate(given, captions, steps=cfg.steps)
    images = [None if path is None else mentioned(path) for path in (cfg.image, cfg.end)]
    own = {"caption": captions[0], "end_caption": captions[1], "image": images[0]}
    own["end"] = images[1]
    save_strip(
        folder,
        way,
        before=given[:1],
        after=given[1:],
        text=trained.about(sampler=trained.model.inversion_sampler)
        | cut
        | {name: str(value or "") for name, value in own.items()},
    )
    status(f"{cfg.steps} steps: {folder / 'strip.png'}")
    return {}
