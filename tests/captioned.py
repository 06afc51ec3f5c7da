"""A folder of images, each with several captions, and its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genzoo.data.dataset import TextImageData
from genzoo.data.folder import Folder


def captioned_folder(root: Path, *, images: int, captions: int, size: int = 16) -> Path:
    """Blurred noise under the names 00.png ..., and captions that all differ."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(images):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size)).save(root / f"{i:02}.png")
        texts = [f"image {i} in words of kind {k}" for k in range(captions)]
        rows.append({"file_name": f"{i:02}.png", "text": texts})
    (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def opened(root: Path, **changes: Any) -> TextImageData:
    """The data of such a folder."""
    options = {"image_size": 16, "validation": 0.25, "max_skipped": 0.0, "cache": root / "cache"}
    return TextImageData(Folder(root=root, max_pixels=10_000), **{**options, **changes})
