from __future__ import annotations

import torch

from genzoo.types import Batch, concat_conditions


def test_moving_a_batch_changes_the_images_type_alone(batch: Batch) -> None:
    moved = batch.to("cpu", torch.float64)
    assert moved.image.dtype == torch.float64
    assert moved.tokens.dtype == batch.tokens.dtype
    assert moved.caption == batch.caption


def test_conditions_can_be_cut_joined_and_repeated(batch: Batch) -> None:
    cond = batch.condition
    joined = concat_conditions([cond[:2], cond[2:]])
    assert joined.caption == cond.caption
    assert torch.equal(joined.tokens, cond.tokens)
    twice = cond.repeat(2)
    assert len(twice) == 2 * len(cond)
    assert twice.caption[len(cond)] == cond.caption[0]
    assert torch.equal(twice.token_mask[len(cond) :], cond.token_mask)
