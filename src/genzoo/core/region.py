"""The part of an image that is redrawn: cut out at a network's size, and put back exactly.

Shape letters: h, w of the image, s of the network's images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from genzoo.core.errors import UsageError

CONTEXT = 2.0  # side of the square around the redrawn part, in multiples of that part's


@dataclass(frozen=True)
class Region:
    """A square around what is to be redrawn.

    It may reach beyond an image that is not square; what lies outside is redrawn, too, and
    thrown away.

    Attributes:
        picture: RGB, shape (h, w, 3), 8 bit.
        redraw: True where it is to be redrawn, shape (h, w).
        top: of the square, in the image's pixels; may be negative.
        left: of it.
        side: of it.
    """

    picture: np.ndarray
    redraw: np.ndarray
    top: int
    left: int
    side: int

    @classmethod
    def around(cls, picture: np.ndarray, redraw: np.ndarray, *, smallest: int) -> Region:
        """The square with enough context, no smaller than a network's images where that fits.

        Raises:
            UsageError: where nothing is to be redrawn or the sizes differ.
        """
        if picture.shape[:2] != redraw.shape:
            (h, w), (mask_h, mask_w) = picture.shape[:2], redraw.shape
            raise UsageError(
                f"the mask has {mask_w} x {mask_h} pixels and the image {w} x {h}",
                "give a mask of the image's size",
            )
        rows, columns = np.flatnonzero(redraw.any(1)), np.flatnonzero(redraw.any(0))
        if not len(rows):
            raise UsageError(
                "nothing in the mask is white, or painted on transparent ground",
                "paint what is to be redrawn",
            )
        height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
        wanted = max(round(CONTEXT * max(height, width)), smallest)
        side = int(max(height, width, min(wanted, max(redraw.shape))))
        top = _placed(int(rows[0]), int(height), side, redraw.shape[0])
        left = _placed(int(columns[0]), int(width), side, redraw.shape[1])
        return cls(picture, redraw, top, left, side)

    def seen(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The square at a network's size: RGB (s, s, 3), and where it is known (s, s).

        A pixel is known if all that it stands for is.
        """
        square = Image.fromarray(self._cut(self.picture)).resize(
            (size, size), Image.Resampling.BOX
        )
        hidden = self._cut(np.where(self.redraw, 255, 0).astype(np.uint8), outside=255)
        touched = Image.fromarray(hidden).resize((size, size), Image.Resampling.BOX)
        return np.asarray(square), np.asarray(touched) == 0

    def put_back(self, square: np.ndarray) -> np.ndarray:
        """The image with the redrawn pixels of a square (s, s, 3); all others are as before."""
        large = Image.fromarray(square).resize((self.side, self.side), Image.Resampling.BICUBIC)
        canvas = self.picture.copy()
        h, w = self.redraw.shape
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.side, h), min(self.left + self.side, w)
        inside = np.asarray(large)[
            top - self.top : bottom - self.top, left - self.left : right - self.left
        ]
        part = (slice(top, bottom), slice(left, right))
        canvas[part] = np.where(self.redraw[part][..., None], inside, canvas[part])
        return canvas

    def _cut(self, values: np.ndarray, *, outside: int | None = None) -> np.ndarray:
        """The square of some values; what lies beyond the edge repeats it, or is `outside`."""
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
    """Where a square begins: its middle on the part's, moved into the image where it fits."""
    begin = first + extent // 2 - side // 2
    if side <= available:
        return min(max(begin, 0), available - side)
    return -((side - available) // 2)
