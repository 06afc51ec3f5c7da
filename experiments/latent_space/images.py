"""Images decoded from random points of a latent space and between two codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.lab.trained import LoadedModel
from genzoo.core.image import to_float, to_uint8
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.models.base import interpolate_points

CODES = 4096  # training images whose codes say how wide a latent space is
ROWS = 6  # paths of which all points are kept, for the figure


@dataclass(frozen=True)
class Kinds:
    """8-bit images by kind.

    Attributes:
        images: all as many: `reconstruction` and `midpoint` of held-out images, `crossfade` of two
            reconstructions' pixels, and random ones:
            `own` from the model's own distribution, `spread` and `standard` from normal
            distributions whose dimensions are independent, as wide as the codes and of width 1.
        paths: points of some paths, shape (paths, steps, 3, h, w).
        sharpness: mean absolute difference of neighbouring pixels at each step, over the mean of
            the ends'.
    """

    images: dict[str, Tensor]
    paths: Tensor
    sharpness: list[float]


def partners(count: int) -> list[int]:
    """For each held-out image the other end of its path: half of the split away."""
    return [(k + count // 2) % count for k in range(count)]


def held_out(trained: LoadedModel, count: int) -> tuple[Tensor, Condition]:
    """8-bit images that training did not see, and their captions."""
    indices = trained.data.spread("validation", count).tolist()
    return trained.data.images(indices), trained.data.condition(indices, trained.tokenizer)


def kinds(trained: LoadedModel, *, count: int, steps: int) -> Kinds:
    """All kinds of images of one model; `steps` is odd, so that a path has a middle."""
    real, cond = held_out(trained, count)
    count = len(real)
    codes = _encode(trained, real)
    other = partners(count)
    images = {"reconstruction": _decode(trained, codes, cond)}
    # The caption is that of the path's beginning; a plain autoencoder does not see it.
    points = interpolate_points(codes, codes[other], steps)
    path = torch.stack(
        [_decode(trained, points[:, k].contiguous(), cond) for k in range(steps)], 1
    )
    images["midpoint"] = path[:, steps // 2].contiguous()
    images["crossfade"] = crossfades(images["reconstruction"], 3)[:, 1].contiguous()
    for name, points in _random(trained, cond, codes.shape[1]).items():
        images[name] = _decode(trained, points, cond)
    return Kinds(images, path[:ROWS], sharpness(path))


def crossfades(real: Tensor, steps: int) -> Tensor:
    """Paths between the same pairs through their pixels, shape (n, steps, 3, h, w)."""
    flat = to_float(real).flatten(1)
    points = interpolate_points(flat, flat[partners(len(real))], steps)
    return to_uint8(points.unflatten(2, real.shape[1:]))


def shuffled(real: Tensor, *, seed: int) -> Tensor:
    """Every image's own pixels in random places: noise of the right colours."""
    order = Noise.of(seed, range(len(real)), "shuffled").uniform(real[0, 0].numel()).argsort(1)
    places = order[:, None].expand(-1, real.shape[1], -1)
    return real.flatten(2).gather(2, places).view_as(real)


def sharpness(path: Tensor) -> list[float]:
    """At each step of (n, steps, 3, h, w), relative to the ends."""
    pixels = to_float(path)
    down = pixels.diff(dim=-2).abs().mean((-3, -2, -1))
    along = pixels.diff(dim=-1).abs().mean((-3, -2, -1))
    mean = (down + along).mean(0)
    return (mean / ((mean[0] + mean[-1]) / 2).clamp(min=1e-9)).tolist()


def _random(trained: LoadedModel, cond: Condition, width: int) -> dict[str, Tensor]:
    """Codes at random, of three kinds; the same numbers for every model of a seed."""
    count, seed = len(cond.caption), int(trained.cfg.seed)
    indices = trained.data.spread("train", CODES).tolist()
    codes = _encode(trained, trained.data.images(indices))
    normal = Noise.of(seed, range(count), "random points").normal(width)
    own = Noise.of(seed, range(count), "sample", device=trained.device)
    with torch.no_grad():
        own_codes = trained.model.sample_latent(cond.to(trained.device), noise=own).cpu()
    return {"own": own_codes, "spread": codes.mean(0) + codes.std(0) * normal, "standard": normal}


def _encode(trained: LoadedModel, images: Tensor) -> Tensor:
    def work(part: slice) -> Tensor:
        return trained.model.encode(to_float(images[part]).to(trained.device))

    return trained.in_batches(work, len(images))


def _decode(trained: LoadedModel, codes: Tensor, cond: Condition) -> Tensor:
    def work(part: slice) -> Tensor:
        own = cond[part].to(trained.device)
        return to_uint8(trained.model.decode(codes[part].to(trained.device), own))

    return trained.in_batches(work, len(codes))
