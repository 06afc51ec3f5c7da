"""Scenes of two things of which one is to become another, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from experiments.inpainting.rule import Edges
from experiments.lab.judged import Judged, judge
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
    """A picture, the part that is to be redrawn, and what is to be there.

    Attributes:
        picture: 8 bit, (3, s, s).
        known: 1 where it stays, (1, s, s).
        wanted: the scene afterwards.
    """

    picture: Tensor
    known: Tensor
    wanted: Scene


@dataclass(frozen=True)
class Redrawn:
    """What became of the tasks.

    Attributes:
        pictures: 8 bit.
        judged: against the wanted scenes' captions.
        edges: outside the mask and at its edge.
    """

    pictures: Tensor
    judged: Judged
    edges: Edges


def tasks(count: int, *, size: int, seed: int) -> list[Task]:
    """Scenes with a relation; the half with the first thing is redrawn for another thing."""
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
        picture = torch.from_numpy(paint(arrange(before, rng), size)).permute(2, 0, 1)
        wanted = replace(before, things=(thing, second))
        found.append(Task(picture, known_half(before.relation, size), wanted))
    return found


def known_half(relation: str, size: int) -> Tensor:
    """1 in the half of the picture in which the relation's first thing does not lie."""
    dx, dy = RELATIONS[relation]
    known, half = torch.ones(1, size, size), size // 2
    if dy:
        known[:, :half] = float(dy > 0)
        known[:, half:] = float(dy < 0)
    else:
        known[:, :, :half] = float(dx > 0)
        known[:, :, half:] = float(dx < 0)
    return known


def redraw(trained: LoadedModel, work: Sequence[Task], *, scale: float) -> Redrawn:
    """The model's pictures, judged."""
    model = trained.model
    assert isinstance(model, Glide)
    parts = []
    for start in range(0, len(work), BATCH):
        own = work[start : start + BATCH]
        numbers = range(start, start + len(own))
        cond = condition([task.wanted.caption for task in own], trained.tokenizer)
        with torch.no_grad():
            drawn = model.inpaint(
                cond.to(trained.device),
                to_float(torch.stack([task.picture for task in own])).to(trained.device),
                torch.stack([task.known for task in own]).to(trained.device),
                noise=Noise.of(int(trained.cfg.seed), numbers, "inpaint", device=trained.device),
                guidance=ClassifierFree(scale),
            )
        parts.append(to_uint8(drawn).cpu())
    pictures = torch.cat(parts)
    facts = [task.wanted.attributes for task in work]
    return Redrawn(pictures, judge(trained, pictures, facts), edges(work, pictures))


def edges(work: Sequence[Task], pictures: Tensor) -> Edges:
    """What happened outside the redrawn parts and at their edges."""
    before = torch.stack([task.picture for task in work])
    known = torch.stack([task.known for task in work]).bool()
    changed = int(((pictures != before) & known).sum())
    return Edges(changed, _seam(pictures, known), _seam(before, known))


def _seam(pictures: Tensor, known: Tensor) -> float:
    """Mean absolute difference of neighbours of which one is known and one is not."""
    values, marks = pictures.double(), known.expand_as(pictures)
    steps = []
    for axis in (2, 3):
        size = pictures.shape[axis]
        a, b = values.narrow(axis, 0, size - 1), values.narrow(axis, 1, size - 1)
        apart = marks.narrow(axis, 0, size - 1) != marks.narrow(axis, 1, size - 1)
        steps.append((a - b).abs()[apart])
    return float(torch.cat(steps).mean())
