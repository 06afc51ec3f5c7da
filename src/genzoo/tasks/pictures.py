"""Pictures that tasks write: grids, the gallery of a run, interpolations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from genzoo.core.files import write_whole
from genzoo.core.image import grid, save_png, to_float, to_uint8
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.data.dataset import TextImageData
from genzoo.models.base import Endpoint, GenerativeModel, identity
from genzoo.run import devices, scorers
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import Checkpoint

GALLERY = {"validation": 8, "train": 8}  # images of each split in a run's gallery
STEPS = 9  # of an interpolation, ends included


def condition_of(
    model: GenerativeModel, data: TextImageData, indices: Sequence[int], tokenizer: Tokenizer
) -> Condition:
    """The captions of some images, and what else a model has to be given of them.

    One that enlarges images needs their smaller versions, a decoder alone their embeddings.
    """
    cond = data.condition(indices, tokenizer)
    if "low_res" in model.capabilities.conditions:
        return model.with_low_res(cond, to_float(data.images(indices)))
    if "embedding" in model.capabilities.conditions:
        device = next(model.parameters()).device
        return model.with_embedding(cond, to_float(data.images(indices)).to(device))
    return cond


def sample_images(
    model: GenerativeModel,
    cond: Condition,
    shape: tuple[int, int, int],
    *,
    seed: int,
    indices: Sequence[int],
    device: torch.device,
    guidance: Any = identity,
) -> Tensor:
    """8-bit samples on the CPU; the k-th belongs to the number indices[k] of this seed.

    Args:
        model: in evaluation mode.
        cond: one condition an image.
        shape: (channels, height, width).
        seed: of the run.
        indices: numbers of the images; image i depends on (seed, i) alone.
        device: where the model is.
        guidance: as for `GenerativeModel.sample`.
    """
    noise = Noise.of(seed, indices, "sample", device=device)
    with torch.no_grad():
        images = model.sample(cond.to(device), shape, noise=noise, guidance=guidance)
    return to_uint8(images).cpu()


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

    Held-out captions come first, then some that were trained on: the two tell a model that has
    understood captions from one that remembers them.
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
    rebuilt = None
    if model.capabilities.reconstruct:
        with torch.no_grad():
            pixels = to_float(real).to(device)
            rebuilt = to_uint8(model.reconstruct(pixels, cond.to(device))).cpu()
    items = []
    for k, index in enumerate(indices):
        item: dict[str, Any] = {
            "index": index,
            "caption": cond.caption[k],
            "split": splits[k],
            "seed": seed,
            "reconstruction": None,
        }
        pictures = {"real": real, "sample": samples, "reconstruction": rebuilt}
        for name, images in pictures.items():
            if images is not None:
                item[name] = f"{name}-{k}.png"
                save_png(folder / item[name], images[k], text={"caption": cond.caption[k]})
        items.append(item)
    strip = None
    held_out = slice(len(chosen["validation"]) if len(chosen["validation"]) > 1 else None)
    if model.capabilities.interpolate and len(indices[held_out]) > 1:
        strip = "interpolation.png"
        noise = Noise.of(seed, indices, "sample", device=device)
        picture = _interpolation(
            model,
            real[held_out],
            cond[held_out],
            noise=noise[held_out],
            device=device,
            guidance=guidance,
        )
        save_png(folder / strip, picture, text={})
    content = {
        "items": items,
        "interpolation": strip,
        "attribution": data.attribution,
    }
    write_whole(folder / "gallery.json", json.dumps(content, indent=1, ensure_ascii=False))


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
    """Rows that lead from one image and its caption to another.

    They are held-out images, which are shown outside, or, where a model takes none, drawn ones,
    guided as the samples are. There are as many rows as there are pairs, at most `rows`.
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


def about_pictures(
    cfg: DictConfig, model: GenerativeModel, checkpoint: Checkpoint, *, sampler: Any
) -> dict[str, str]:
    """What every picture of a command says of its making, for the file's metadata."""
    return {
        "model": cfg.model.name,
        "seed": str(cfg.seed),
        "guidance": scorers.guidance_words(cfg),
        "sampler": "none" if sampler is None else str(sampler),
        "precision": devices.stated_precision(cfg),
        "checkpoint": checkpoint.mention,
        "software": f"genzoo {checkpoint.about['version']}",
    }


def save_grid(path: Path, images: Tensor, *, columns: int) -> None:
    """8-bit images (n, 3, h, w) in rows, small ones enlarged, as one PNG."""
    size = images.shape[-1]
    scale = 4 if size < 64 else 2 if size < 256 else 1
    save_png(path, grid(images, columns=columns), scale=scale)


def save_strip(
    folder: Path,
    way: Tensor,
    *,
    before: Sequence[Tensor] = (),
    after: Sequence[Tensor] = (),
    text: Mapping[str, str],
) -> None:
    """A way of 8-bit images (steps, 3, h, w), each as a PNG, and all in one row.

    Args:
        folder: where they are written: 00000.png ... and strip.png.
        way: the images.
        before: given images that the row shows first.
        after: those that it shows last.
        text: for the metadata of each image, which also say its number and the share of the way.
    """
    for k, image in enumerate(way):
        own = {"number": str(k), "share": f"{k / (len(way) - 1):.4f}"}
        save_png(folder / f"{k:05d}.png", image, text={**text, **own})
    row = torch.stack([*before, *way, *after])
    save_grid(folder / "strip.png", row, columns=len(row))
