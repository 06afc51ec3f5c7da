"""Pictures are held against their captions: real ones are right, those of others are not."""

from __future__ import annotations

import pytest
import torch

from genzoo.data.dataset import TextImageData
from genzoo.data.shapes import Shapes
from genzoo.metrics.captions import CaptionAccuracy


@pytest.fixture(scope="module")
def data() -> TextImageData:
    return TextImageData(Shapes(count=60, seed=0), image_size=32, validation=0.1, max_skipped=0.0)


def measure(data: TextImageData, *, batch: int) -> dict[str, float]:
    assert data.ground_truth is not None
    metric = CaptionAccuracy(data.ground_truth.score_caption, data.ground_truth.caption_parts)
    for start in range(0, len(data), batch):
        own = list(range(start, min(start + batch, len(data))))
        others = [(i + 1) % len(data) for i in own]
        metric.update(
            data.images(own), data.caption_attributes(own), data.caption_attributes(others)
        )
    return {name: entry.value for name, entry in metric.compute().items()}


def test_real_pictures_show_their_captions_and_not_their_neighbours(data: TextImageData) -> None:
    found = measure(data, batch=25)
    parts = {name.removeprefix("caption_accuracy/") for name in found}
    assert parts == {"all", "count", "colour", "shape", "size", "position", "shuffled"}
    assert found["caption_accuracy/all"] > 0.98
    assert found["caption_accuracy/shuffled"] < 0.1
    assert found == measure(data, batch=7)


def test_blank_pictures_show_nothing(data: TextImageData) -> None:
    assert data.ground_truth is not None
    metric = CaptionAccuracy(data.ground_truth.score_caption, data.ground_truth.caption_parts)
    blank = torch.full((4, 3, 32, 32), 255, dtype=torch.uint8)
    metric.update(blank, data.caption_attributes(range(4)), data.caption_attributes(range(1, 5)))
    assert {entry.value for entry in metric.compute().values()} == {0.0}


def test_only_parts_that_a_caption_has_are_counted(data: TextImageData) -> None:
    assert data.ground_truth is not None
    plain = [i for i in range(60) if "position" not in data.ground_truth.score_caption(
        data.images([i])[0].permute(1, 2, 0).numpy(), data.caption_attributes([i])[0],
    )]  # fmt: skip
    assert 0 < len(plain) < 60
    metric = CaptionAccuracy(data.ground_truth.score_caption, data.ground_truth.caption_parts)
    metric.update(
        data.images(plain), data.caption_attributes(plain), data.caption_attributes(plain)
    )
    assert "caption_accuracy/position" not in metric.compute()
