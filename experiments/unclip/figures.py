"""The figures of the study: the same captions by both models, and both over the scales."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from experiments.lab import style
from experiments.unclip.measure import Samples
from genzoo.core.image import grid

SHOWN = 12  # images a row
HUES = {"glide": style.BLUE, "unclip": style.ORANGE}
PANELS = {
    "frechet_distance": "Fréchet distance (lower is better)",
    "recall": "recall (higher is better)",
    "spread": "spread of one caption's samples",
}


def samples(everything: Sequence[Samples], path: Path) -> None:
    """A row a model and scale, of the first seed."""
    seed = everything[0].seed
    own = [one for one in everything if one.seed == seed]
    figure = style.panels(len(own), 1, width=8.0, height=0.85)
    for axis, one in zip(figure.axes, own, strict=True):
        step = max(1, len(one.images) // SHOWN)
        tiles = grid(one.images[::step][:SHOWN], columns=SHOWN, pad=1, background=215)
        axis.imshow(tiles.permute(1, 2, 0).numpy(), interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"{one.model}, guidance {one.scale:g}", fontsize=9, loc="left")
    style.save(figure, path)


def curves(everything: Sequence[Samples], path: Path) -> None:
    """Distance, recall and spread against the scale; bars from the least seed to the largest."""
    figure = style.panels(1, len(PANELS), width=3.6, height=3.2)
    for axis, (name, words) in zip(figure.axes, PANELS.items(), strict=True):
        for model, hue in HUES.items():
            own = [one for one in everything if one.model == model]
            scales = sorted({one.scale for one in own})
            values = [[_value(one, name) for one in own if one.scale == s] for s in scales]
            means = [statistics.fmean(part) for part in values]
            bars = [
                [m - min(part) for m, part in zip(means, values, strict=True)],
                [max(part) - m for m, part in zip(means, values, strict=True)],
            ]
            axis.errorbar(scales, means, yerr=bars, fmt="o-", color=hue, label=model, capsize=3)
        axis.set_xlabel("guidance")
        axis.set_ylabel(words)
        axis.legend(fontsize=8)
    style.save(figure, path)


def _value(one: Samples, name: str) -> float:
    return one.spread if name == "spread" else one.value(name)
