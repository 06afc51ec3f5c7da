from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from genzoo.core.image import grid, save_png, to_float, to_uint8


def test_every_8_bit_value_survives_the_way_there_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    values = to_float(pixels)
    assert float(values.min()) == -1.0
    assert float(values.max()) == 1.0
    assert torch.equal(to_uint8(values), pixels)


def test_values_are_rounded_and_clipped_not_truncated() -> None:
    step = 2 / 255
    values = torch.tensor([[[-1.5, -1 + 0.6 * step, 1 - 0.4 * step, 2.0]]])
    assert to_uint8(values).flatten().tolist() == [0, 1, 255, 255]


def test_a_grid_puts_images_in_rows() -> None:
    images = torch.stack([torch.full((3, 2, 2), k, dtype=torch.uint8) for k in range(5)])
    picture = grid(images, columns=3, pad=1)
    assert picture.shape == (3, 7, 10)
    assert picture[0, 1, 1] == 0
    assert picture[0, 4, 4] == 4
    assert picture[0, 4, 7] == 255  # nothing there


def test_a_png_holds_pixels_and_text(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, 4, 5), generator=torch.Generator().manual_seed(0))
    path = tmp_path / "a.png"
    save_png(path, image.to(torch.uint8), text={"caption": "a rød heart"}, scale=2)
    with Image.open(path) as picture:
        assert picture.size == (10, 8)
        assert picture.text["caption"] == "a rød heart"  # type: ignore[attr-defined]
        assert picture.getpixel((2, 2)) == tuple(image[:, 1, 1].tolist())
