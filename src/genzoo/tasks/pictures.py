"""Pictures that tasks write: grids, the gallery of a run, interpolations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.data.dataset import TextImageData
from genzoo.image import grid, save_png, to_float, to_uint8
from genzoo.models.base import GenerativeModel, identity, interpolate
from genzoo.noise import Noise
from genzoo.text.tokenizer import Tokenizer
from genzoo.types import Condition, concat_conditions

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


def draw(
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
    samples = draw(
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
    if model.capabilities.latent:
        strip = "interpolation.png"
        noise = Noise.of(seed, indices, "sample", device=device)
        held_out = slice(len(chosen["validation"]))
        picture = _interpolation(
            model, real[held_out], cond[held_out], noise=noise[held_out], device=device
        )
        save_png(folder / strip, picture, text={})
    content = {
        "items": items,
        "interpolation": strip,
        "attribution": data.attribution,
    }
    (folder / "gallery.json").write_text(json.dumps(content, indent=1, ensure_ascii=False))


def _interpolation(
    model: GenerativeModel,
    real: Tensor,
    cond: Condition,
    *,
    noise: Noise,
    device: torch.device,
    rows: int = 4,
) -> Tensor:
    """Rows that lead from one latent point to another.

    The points are those of held-out images, which are shown outside, or, where a model encodes
    none, drawn ones. The caption changes from the first to the second at the middle.
    """
    encodes = model.capabilities.reconstruct
    with torch.no_grad():
        if encodes:
            latent = model.encode(to_float(real[: 2 * rows]).to(device))
        else:
            latent = model.draw_latent(cond[: 2 * rows].to(device), noise=noise[: 2 * rows])
        # (rows, steps, d)
        points = interpolate(latent[0::2], latent[1::2], STEPS, spherical=not encodes)
        strips = []
        for row in range(rows):
            first, second = cond[2 * row : 2 * row + 1], cond[2 * row + 1 : 2 * row + 2]
            half = STEPS // 2
            captions = concat_conditions([first.repeat(half + 1), second.repeat(STEPS - half - 1)])
            strip = to_uint8(model.decode(points[row], captions.to(device))).cpu()
            if encodes:
                strip = torch.cat([real[2 * row, None], strip, real[2 * row + 1, None]])
            strips.append(strip)
    return grid(torch.cat(strips), columns=len(strips[0]))
