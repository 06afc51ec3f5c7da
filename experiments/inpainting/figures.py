"""The figure of the study: images, masks, and inpainted images."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.inpainting.measure import Inpainted, Task
from experiments.lab import style

SHOWN = 10
GREY = 150  # of the masked part


def inpainted(work: Sequence[Task], found: Inpainted, path: Path) -> None:
    """Before, masked and after, the new caption beneath."""
    shown = work[:SHOWN]
    figure = style.panels(3, SHOWN, width=1.25, height=1.3)
    masked = [torch.where(task.known.bool(), task.image, torch.tensor(GREY)) for task in shown]
    rows = [
        ("before", [task.image for task in shown]),
        ("shown to the model", masked),
        ("after", list(found.images[:SHOWN])),
    ]
    for axes, (label, row) in zip(style.rows_of(figure, SHOWN), rows, strict=True):
        for axis in axes:
            axis.set_axis_off()
        for axis, pixels, task in zip(axes, row, shown, strict=False):
            image = pixels.to(torch.uint8).permute(1, 2, 0).numpy()
            axis.imshow(image, interpolation="nearest")
            if label == "after":
                words = textwrap.fill(task.wanted.caption, 18)
                axis.text(0.5, -0.04, words, transform=axis.transAxes, ha="center", va="top",
                          fontsize=6.5)  # fmt: skip
        axes[0].set_title(label, loc="left", fontsize=9, fontweight="bold")
    style.save(figure, path)
