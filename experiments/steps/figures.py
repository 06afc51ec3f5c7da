"""The figures of the study: the same captions in few steps and in many, quality and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.lab import style
from experiments.steps.measure import Samples
from experiments.steps.rule import Point
from genzoo.core.image import grid

SHOWN = 8  # images a row
HUES = (style.BLUE, style.ORANGE, style.GREEN, style.RED)


def samples(found: Mapping[str, Sequence[Samples]], path: Path) -> None:
    """A row a number of steps, a block a sampler."""
    rows = max(len(own_samples) for own_samples in found.values())
    figure = style.panels(rows, len(found), width=4.0, height=max(0.6, 2.2 / rows))
    for row, axes in enumerate(style.rows_of(figure, len(found))):
        for axis, (name, own_samples) in zip(axes, found.items(), strict=True):
            own = own_samples[row]
            step = max(1, len(own.images) // SHOWN)
            tiles = grid(own.images[::step][:SHOWN], columns=SHOWN, pad=1, background=215)
            axis.imshow(tiles.permute(1, 2, 0).numpy(), interpolation="nearest")
            axis.set_axis_off()
            axis.text(-0.01, 0.5, str(own.steps), transform=axis.transAxes, ha="right",
                      va="center", fontsize=8)  # fmt: skip
            if not row:
                axis.set_title(f"{name}, by steps", fontsize=9)
    style.save(figure, path)


def curves(points: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Fréchet distance against steps and against time."""
    figure = style.panels(1, 2, width=4.6, height=3.4)
    left, right = figure.axes
    for (name, own), hue in zip(points.items(), HUES, strict=False):
        distances = [point.distance for point in own]
        left.plot([point.steps for point in own], distances, "o-", color=hue, label=name)
        right.plot([1000 * point.seconds for point in own], distances, "o-", color=hue, label=name)
    left.set_xlabel("steps")
    right.set_xlabel("milliseconds an image")
    left.set_ylabel("Fréchet distance (lower is better)")
    for axis in (left, right):
        axis.set_xscale("log", base=2 if axis is left else 10)
        axis.legend(fontsize=7)
    style.save(figure, path)
