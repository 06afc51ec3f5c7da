from __future__ import annotations

import torch

from genzoo.core.types import Batch


def test_moving_a_batch_changes_the_images_type_alone(batch: Batch) -> None:
    moved = batch.to("cpu", torch.float64)
    assert moved.image.dtype == torch.float64
    assert moved.tokens.dtype == batch.tokens.dtype
    assert moved.caption == batch.caption


def test_conditions_can_be_cut_and_repeated(batch: Batch) -> None:
    cond = batch.condition
    part = cond[1:4:2]
    assert part.caption == (cond.caption[1], cond.caption[3])
    assert torch.equal(part.tokens, cond.tokens[[1, 3]])
    twice = cond.repeat(2)
    assert len(twice) == 2 * len(cond)
    assert twice.caption[len(cond)] == cond.caption[0]
    assert torch.equal(twice.token_mask[len(cond) :], cond.token_mask)
