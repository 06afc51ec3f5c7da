"""The figures of the study: reconstructions, and the error over the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from experiments.flow_inverse.measure import Trip
from experiments.lab import style
from experiments.lab.sweep import Outcome
from genzoo.core.image import grid, to_float, to_uint8

SHOWN = 12  # images a row
HUES = {"flow": style.GREEN, "autoencoder": style.RED, "vae": style.BLUE}
LEVEL = 2 / 255  # distance of two grey levels in [-1, 1]
TIMES = 10  # by which differences are amplified


def images(trips: Mapping[str, Trip], outcomes: Sequence[Outcome], path: Path) -> None:
    """Held-out images, their reconstructions and the difference; the flow's samples."""
    real = next(iter(trips.values())).real[:SHOWN]
    rows: list[tuple[str, Tensor]] = [("held-out images", real)]
    for name, own in trips.items():
        back = own.back[: len(real)]
        difference = to_uint8((TIMES * (back - to_float(real)).abs()).clamp(max=2) - 1)
        rows.append((f"{name}: reconstruction", to_uint8(back)))
        rows.append((f"{name}: error, {TIMES} times", difference))
    for stage, record in enumerate(outcomes[0].records):
        samples = [_read(item.sample) for item in record.gallery[:SHOWN]]
        label = f"samples by the inverse,\nafter {outcomes[0].run.stages[stage]:,} images"
        rows.append((label, torch.stack(samples)))
    figure = style.panels(len(rows), 1, width=11, height=0.85)
    for axis, (label, row) in zip(figure.axes, rows, strict=True):
        tiles = grid(row, columns=SHOWN, pad=1, background=215)
        axis.imshow(tiles.permute(1, 2, 0).numpy(), interpolation="nearest")
        axis.set_axis_off()
        axis.text(-0.01, 0.5, label, transform=axis.transAxes, ha="right", va="center", fontsize=9)
    style.save(figure, path)


def _read(path: Path) -> Tensor:
    with Image.open(path) as image:
        pixels = bytearray(image.convert("RGB").tobytes())
        size = image.height, image.width, 3
    return torch.frombuffer(pixels, dtype=torch.uint8).reshape(size).permute(2, 0, 1)


def errors(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Largest and mean error of each model, and the flow's Fréchet distance, over the training."""
    figure = style.panels(1, 2, width=5.6, height=3.8)
    left, right = figure.axes
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        seen = [row["images"] for row in own]
        hue = HUES.get(name, style.GREY)
        left.plot(seen, [r["largest"] for r in own], "o-", color=hue, label=f"{name}, largest")
        left.plot(seen, [r["mean"] for r in own], "o--", color=hue, ms=3, label=f"{name}, mean")
        if all(row["distance"] is not None for row in own):
            right.plot(seen, [row["distance"] for row in own], "o-", color=hue, label=name)
    left.axhline(LEVEL / 2, color="black", lw=0.8, ls=":")
    left.text(0.02, LEVEL / 2 * 1.15, "half a grey level", fontsize=8,
              transform=left.get_yaxis_transform())  # fmt: skip
    left.set_yscale("log")
    left.set_ylabel("reconstruction error, of the range [-1, 1]")
    right.set_ylabel("Fréchet distance of samples (lower is better)")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xlabel("images seen in training")
        axis.legend(fontsize=7)
    style.save(figure, path)
