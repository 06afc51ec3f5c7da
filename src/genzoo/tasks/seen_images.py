"""What the images of a set turned out to be, once they were read."""

from __future__ import annotations

import hashlib
from collections import Counter

from genzoo.data.image_set import ImageBatch


class Seen:
    """Number, sizes and a hash of images that go by.

    Attributes:
        count: how many there were.
        sizes: how many of each width and height.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sizes: Counter[tuple[int, int]] = Counter()
        self._digest = hashlib.blake2b(digest_size=16)

    def update(self, batch: ImageBatch) -> None:
        """Look at the next images."""
        height, width = batch.pixels.shape[2:]
        self.count += len(batch.keys)
        self.sizes[width, height] += len(batch.keys)
        for image in batch.pixels:
            self._digest.update(f"{width} {height}\n".encode())
            self._digest.update(image.contiguous().numpy().tobytes())

    @property
    def digest(self) -> str:
        """A hash of all pixels, in their order."""
        return self._digest.hexdigest()

    @property
    def size(self) -> int | str:
        """Pixels of a side, as stamps name it; in words where images are not square, or differ."""
        least, most = min(self.sizes, default=(0, 0)), max(self.sizes, default=(0, 0))
        if least != most:
            return f"{least[0]} x {least[1]} to {most[0]} x {most[1]}"
        return least[0] if least[0] == least[1] else f"{least[0]} x {least[1]}"
