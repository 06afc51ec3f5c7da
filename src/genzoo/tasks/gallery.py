"""The gallery of a run: what a comparison shows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.api.drawing import sample_images
from genzoo.core.files import write_whole
from genzoo.core.image import grid, save_png, to_float, to_uint8
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.data.dataset import TextImageData
from genzoo.models.base import Endpoint, GenerativeModel, identity
from genzoo.tasks.pictures import condition_of
from genzoo.text.tokenizer import Tokenizer

GALLERY = {"validation": 8, "train": 8}  # images of each split
STEPS = 9  # of an interpolation, ends included


def write_gallery(
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    *,
    folder: Path,
    seed: int,
    device: torch.device,
    guidance: Any = identity,
) -> None:
    """Real images, samples, reconstructions and an interpolation, as a comparison shows them.

    Held-out captions come first, then some that were trained on: the two tell
    generalisation from memorisation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {split: data.spread(split, count).tolist() for split, count in GALLERY.items()}
    splits = [split for split, indices in chosen.items() for _ in indices]
    indices = [index for indices in chosen.values() for index in indices]
    cond = condition_of(model, data, indices, tokenizer)
    real = data.images(indices)
    samples = sample_images(
        model, cond, data.shape, seed=seed, indices=indices, device=device, guidance=guidance
    )
    kinds = {"real": real, "sample": samples}
    if model.capabilities.reconstruct:
        with torch.no_grad():
            pixels = to_float(real).to(device)
            kinds["reconstruction"] = to_uint8(model.reconstruct(pixels, cond.to(device))).cpu()
    strip = None
    held_out = slice(len(chosen["validation"]) if len(chosen["validation"]) > 1 else None)
    if model.capabilities.interpolate and len(indices[held_out]) > 1:
        strip = "interpolation.png"
        noise = Noise.of(seed, indices, "sample", device=device)
        image = _interpolation(
            model,
            real[held_out],
            cond[held_out],
            noise=noise[held_out],
            device=device,
            guidance=guidance,
        )
        save_png(folder / strip, image, text={})
    about = [
        {"index": index, "caption": caption, "split": split, "seed": seed}
        for index, caption, split in zip(indices, cond.caption, splits, strict=True)
    ]
    content = {
        "items": _saved(folder, kinds, about),
        "interpolation": strip,
        "attribution": data.attribution,
    }
    write_whole(folder / "gallery.json", json.dumps(content, indent=1, ensure_ascii=False))


def _saved(
    folder: Path, kinds: Mapping[str, Tensor], about: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Write each image of each kind; returns what is known of each item, with its files' names."""
    items = []
    for k, known in enumerate(about):
        item = {**known, "reconstruction": None}
        for name, images in kinds.items():
            item[name] = f"{name}-{k}.png"
            save_png(folder / item[name], images[k], text={"caption": known["caption"]})
        items.append(item)
    return items


def _interpolation(
    model: GenerativeModel,
    real: Tensor,
    cond: Condition,
    *,
    noise: Noise,
    device: torch.device,
    guidance: Any,
    rows: int = 4,
) -> Tensor:
    """Interpolations between images and their captions, one a row.

    Endpoints are held-out images, which are shown at the ends, or samples for a model without
    image endpoints. There are as many rows as there are pairs, at most `rows`.
    """
    rows = min(rows, len(real) // 2)
    given = "images" in model.capabilities.interpolate
    pixels = to_float(real).to(device)
    start, end = (
        Endpoint(cond[part].to(device), noise[part], pixels[part] if given else None)
        for part in (slice(0, 2 * rows, 2), slice(1, 2 * rows, 2))
    )
    shape = (real.shape[1], real.shape[2], real.shape[3])
    with torch.no_grad():
        guided = identity if given else guidance
        ways = to_uint8(model.interpolate(start, end, shape, STEPS, guidance=guided)).cpu()
    if given:
        ways = torch.cat([real[0 : 2 * rows : 2, None], ways, real[1 : 2 * rows : 2, None]], dim=1)
    return grid(ways.flatten(0, 1), columns=ways.shape[1])
