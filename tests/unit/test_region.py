"""The masked part is cut out with context and put back; the rest of an image never changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.core.errors import UsageError
from genzoo.core.region import Region


@settings(max_examples=60, deadline=None)
@given(
    h=st.integers(1, 70), w=st.integers(1, 70), size=st.sampled_from([8, 16, 32]),
    data=st.data(),
)  # fmt: skip
def test_nothing_else_changes(h: int, w: int, size: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    top, left = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    mask = np.zeros((h, w), bool)
    mask[top : data.draw(st.integers(top + 1, h)), left : data.draw(st.integers(left + 1, w))] = 1
    region = Region.around(image, mask, smallest=size)
    square, known = region.seen(size)
    assert square.shape == (size, size, 3)
    assert known.shape == (size, size)
    assert not known.all()
    drawn = np.zeros((size, size, 3), np.uint8)
    whole = region.put_back(drawn)
    assert np.array_equal(whole[~mask], image[~mask])
    assert (whole[mask] == 0).all()


def test_a_small_mask_gets_a_small_square() -> None:
    mask = np.zeros((400, 600), bool)
    mask[100:110, 300:310] = True
    region = Region.around(np.zeros((400, 600, 3), np.uint8), mask, smallest=16)
    assert region.side == 20
    assert region.seen(16)[1].mean() > 0.5


def test_masks_that_cannot_be_inpainted_are_refused() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(UsageError, match="nothing in the mask is white"):
        Region.around(image, np.zeros((4, 6), bool), smallest=8)
    with pytest.raises(UsageError, match="6 x 4"):
        Region.around(image, np.ones((6, 4), bool), smallest=8)
