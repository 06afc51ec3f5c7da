"""CLIP score: the mean of what CLIP says, each picture once, and what was cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from genzoo.metrics.clip_score import CLIPScore


def similarity(images: Tensor, captions: Sequence[str]) -> Tensor:
    """Of a picture whose pixels all say the cosine, in hundredths above -0.5."""
    return images[:, 0, 0, 0].float() / 100 - 0.5


def cut(captions: Sequence[str]) -> Tensor:
    return torch.tensor([len(caption) > 3 for caption in captions], dtype=torch.bool)


def pictures(*hundredths: int) -> Tensor:
    return torch.tensor(hundredths, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_it_is_the_mean_in_hundredths_and_never_negative() -> None:
    metric = CLIPScore(similarity, cut)
    metric.update(pictures(80, 20), ["abc", "abcd"], torch.tensor([0, 1]))
    metric.update(pictures(60), ["a"], torch.tensor([2]))
    metric.update(torch.empty(0, 3, 4, 4, dtype=torch.uint8), [], torch.empty(0, dtype=torch.long))
    found = metric.compute()["clip_score"]
    assert found.value == pytest.approx((30 + 0 + 10) / 3)
    assert found.better == "higher"
    assert metric.cut_share() == pytest.approx(1 / 3)


def test_a_picture_that_comes_twice_counts_once() -> None:
    metric = CLIPScore(similarity, cut)
    metric.update(pictures(80, 60), ["a", "b"], torch.tensor([0, 1]))
    metric.update(pictures(80), ["a"], torch.tensor([0]))
    assert metric.compute()["clip_score"].value == pytest.approx(20)
