"""The gallery of images that other programs generated: some of them, with their captions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.core.files import write_whole
from genzoo.core.image import save_png
from genzoo.data.image_set import ImageBatch

COUNT = 16  # images, spread evenly over the set
LARGEST = 256  # pixels of a side; larger ones are shrunk for the page


class ImageGallery:
    """Some of many images, picked as they go by.

    Args:
        total: how many images there are.
    """

    def __init__(self, total: int) -> None:
        count = min(COUNT, total)
        self._wanted = {k * total // count for k in range(count)}
        self._held: list[tuple[str, Tensor]] = []

    def update(self, batch: ImageBatch) -> None:
        """Pick from the next images."""
        for k, key in enumerate(batch.keys):
            if batch.first + k in self._wanted:
                self._held.append((key, _small(batch.pixels[k])))

    def write(self, folder: Path, captions: Mapping[str, str] | None) -> None:
        """Write the images and gallery.json, as `report.runs` reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        items = []
        for k, (key, image) in enumerate(self._held):
            caption = "" if captions is None else captions[key]
            file = f"image-{k}.png"
            save_png(folder / file, image, text={"caption": caption} if caption else {})
            items.append({"image": file, "caption": caption})
        content = {"items": [], "images": items, "attribution": None}
        write_whole(folder / "gallery.json", json.dumps(content, indent=1, ensure_ascii=False))


def _small(image: Tensor) -> Tensor:
    """A copy, at most `LARGEST` pixels wide and high."""
    if max(image.shape[1:]) <= LARGEST:
        return image.clone()
    picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
