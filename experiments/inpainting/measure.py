"""Scenes of two things of which one is to be replaced, and the inpainted results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from experiments.inpainting.rule import Edges
from experiments.lab.caption_scores import CaptionScores, score_captions
from experiments.lab.trained import BATCH, LoadedModel
from genzoo.api.drawing import condition
from genzoo.core.image import to_float, to_uint8
from genzoo.core.noise import Noise, split_seed
from genzoo.data.raster import paint
from genzoo.data.scene import RELATIONS, Scene, arrange, invent
from genzoo.diffusion.guidance import ClassifierFree
from genzoo.models.glide import Glide


@dataclass(frozen=True)
class Task:
    """An image, its mask, and the scene to inpaint.

    Attributes:
        image: 8 bit, (3, s, s).
        known: 1 outside the mask, (1, s, s).
        wanted: the scene after inpainting.
    """

    image: Tensor
    known: Tensor
    wanted: Scene


@dataclass(frozen=True)
class Inpainted:
    """The inpainted images.

    Attributes:
        images: 8 bit.
        scores: against the wanted scenes' captions.
        edges: outside the mask and at its edge.
    """

    images: Tensor
    scores: CaptionScores
    edges: Edges


def tasks(count: int, *, size: int, seed: int) -> list[Task]:
    """Scenes with a relation; the half with the first thing is masked, to show another thing."""
    found: list[Task] = []
    number = 0
    while len(found) < count:
        rng = np.random.default_rng(split_seed(seed, "inpainting", number))
        number += 1
        before, other = invent(rng), invent(rng)
        if before.relation is None or other.relation is None:
            continue
        thing, second = other.things[0], before.things[1]
        kinds = {before.things[0].kind, second.kind}
        if thing.kind in kinds:
            continue
        image = torch.from_numpy(paint(arrange(before, rng), size)).permute(2, 0, 1)
        wanted = replace(before, things=(thing, second))
        found.append(Task(image, known_half(before.relation, size), wanted))
    return found


def known_half(relation: str, size: int) -> Tensor:
    """1 in the half of the image in which the relation's first thing does not lie."""
    dx, dy = RELATIONS[relation]
    known, half = torch.ones(1, size, size), size // 2
    if dy:
        known[:, :half] = float(dy > 0)
        known[:, half:] = float(dy < 0)
    else:
        known[:, :, :half] = float(dx > 0)
        known[:, :, half:] = float(dx < 0)
    return known


def inpaint(trained: LoadedModel, work: Sequence[Task], *, scale: float) -> Inpainted:
    """The model's images, with their scores."""
    model = trained.model
    assert isinstance(model, Glide)
    parts = []
    for start in range(0, len(work), BATCH):
        own = work[start : start + BATCH]
        numbers = range(start, start + len(own))
        cond = condition([task.wanted.caption for task in own], trained.tokenizer)
        with torch.no_grad():
            inpainted = model.inpaint(
                cond.to(trained.device),
                to_float(torch.stack([task.image for task in own])).to(trained.device),
                torch.stack([task.known for task in own]).to(trained.device),
                noise=Noise.of(int(trained.cfg.seed), numbers, "inpaint", device=trained.device),
                guidance=ClassifierFree(scale),
            )
        parts.append(to_uint8(inpainted).cpu())
    images = torch.cat(parts)
    attributes = [task.wanted.attributes for task in work]
    return Inpainted(images, score_captions(trained, images, attributes), edges(work, images))


def edges(work: Sequence[Task], images: Tensor) -> Edges:
    """Changes outside the masks and at their edges."""
    before = torch.stack([task.image for task in work])
    known = torch.stack([task.known for task in work]).bool()
    changed = int(((images != before) & known).sum())
    return Edges(changed, _seam(images, known), _seam(before, known))


def _seam(images: Tensor, known: Tensor) -> float:
    """Mean absolute difference of neighbours of which one is known and one is not."""
    values, marks = images.double(), known.expand_as(images)
    steps = []
    for axis in (2, 3):
        size = images.shape[axis]
        a, b = values.narrow(axis, 0, size - 1), values.narrow(axis, 1, size - 1)
        apart = marks.narrow(axis, 0, size - 1) != marks.narrow(axis, 1, size - 1)
        steps.append((a - b).abs()[apart])
    return float(torch.cat(steps).mean())
