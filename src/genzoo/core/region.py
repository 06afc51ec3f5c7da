"""The region of an image to inpaint: cropped to a network's size, and pasted back exactly.

Shape letters: h, w of the image, s of the network's images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from genzoo.core.errors import UsageError

CONTEXT = 2.0  # side of the square, in multiples of the masked part's


@dataclass(frozen=True)
class Region:
    """A square around the masked part of an image.

    It may reach beyond an image that is not square; what is sampled outside is discarded.

    Attributes:
        image: RGB, shape (h, w, 3), 8 bit.
        mask: True where to inpaint, shape (h, w).
        top: first row of the square, in the image's pixels; may be negative.
        left: first column of the square; may be negative.
        side: of the square, in pixels.
    """

    image: np.ndarray
    mask: np.ndarray
    top: int
    left: int
    side: int

    @classmethod
    def around(cls, image: np.ndarray, mask: np.ndarray, *, smallest: int) -> Region:
        """The square with enough context, no smaller than a network's images where that fits.

        Raises:
            UsageError: where the mask is empty or the sizes differ.
        """
        if image.shape[:2] != mask.shape:
            (h, w), (mask_h, mask_w) = image.shape[:2], mask.shape
            raise UsageError(
                f"the mask has {mask_w} x {mask_h} pixels and the image {w} x {h}",
                "give a mask of the image's size",
            )
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            raise UsageError(
                "nothing in the mask is white, or painted on transparent ground",
                "paint what is to be sampled anew",
            )
        height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
        wanted = max(round(CONTEXT * max(height, width)), smallest)
        side = int(max(height, width, min(wanted, max(mask.shape))))
        top = _placed(int(rows[0]), int(height), side, mask.shape[0])
        left = _placed(int(columns[0]), int(width), side, mask.shape[1])
        return cls(image, mask, top, left, side)

    def seen(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The square at a network's size: RGB (s, s, 3), and where it is known (s, s).

        A pixel is known if all pixels that it averages are.
        """
        square = Image.fromarray(self._cut(self.image)).resize((size, size), Image.Resampling.BOX)
        hidden = self._cut(np.where(self.mask, 255, 0).astype(np.uint8), outside=255)
        touched = Image.fromarray(hidden).resize((size, size), Image.Resampling.BOX)
        return np.asarray(square), np.asarray(touched) == 0

    def put_back(self, square: np.ndarray) -> np.ndarray:
        """The image with the masked pixels of a square (s, s, 3); all others are unchanged."""
        large = Image.fromarray(square).resize((self.side, self.side), Image.Resampling.BICUBIC)
        canvas = self.image.copy()
        h, w = self.mask.shape
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.side, h), min(self.left + self.side, w)
        inside = np.asarray(large)[
            top - self.top : bottom - self.top, left - self.left : right - self.left
        ]
        part = (slice(top, bottom), slice(left, right))
        canvas[part] = np.where(self.mask[part][..., None], inside, canvas[part])
        return canvas

    def _cut(self, values: np.ndarray, *, outside: int | None = None) -> np.ndarray:
        """The square of some values, padded beyond the edge with its values or `outside`."""
        h, w = values.shape[:2]
        rows = np.arange(self.top, self.top + self.side)
        columns = np.arange(self.left, self.left + self.side)
        cut: np.ndarray = values[rows.clip(0, h - 1)][:, columns.clip(0, w - 1)]
        if outside is not None:
            beyond = (rows < 0) | (rows >= h)
            across = (columns < 0) | (columns >= w)
            cut[beyond], cut[:, across] = outside, outside
        return cut


def _placed(first: int, extent: int, side: int, available: int) -> int:
    """Where a square begins: centred on the part, moved into the image where it fits."""
    begin = first + extent // 2 - side // 2
    if side <= available:
        return min(max(begin, 0), available - side)
    return -((side - available) // 2)
