"""The figures of the study: samples for both kinds of captions, and the shares over training."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.composition.measure import Samples
from experiments.composition.rule import SEEN, UNSEEN
from experiments.lab import style

SHOWN = 10  # images of each kind
HUES = (style.BLUE, style.ORANGE)


def samples(kinds: Mapping[str, Samples], path: Path) -> None:
    """Images with their captions beneath."""
    figure = style.panels(len(kinds), SHOWN, width=1.25, height=1.75)
    for row, (label, own) in zip(style.rows_of(figure, SHOWN), kinds.items(), strict=True):
        step = max(1, len(own.images) // SHOWN)
        for k, axis in enumerate(row):
            axis.set_axis_off()
            if k * step < len(own.images):
                image = own.images[k * step].permute(1, 2, 0).numpy()
                axis.imshow(image, interpolation="nearest")
                words = textwrap.fill(own.captions[k * step], 18)
                axis.text(0.5, -0.04, words, transform=axis.transAxes, ha="center", va="top",
                          fontsize=6.5)  # fmt: skip
        row[0].set_title(label, loc="left", fontsize=9, fontweight="bold")
    style.save(figure, path)


def accuracy(rows: Sequence[Mapping[str, Any]], words: Mapping[str, str], path: Path) -> None:
    """The share of attributes that are right, over the training, at each guidance scale."""
    scales = list(dict.fromkeys(row["scale"] for row in rows if row["scale"] is not None))
    figure = style.panels(1, len(scales), width=4.6, height=3.4)
    for axis, scale in zip(figure.axes, scales, strict=True):
        for (split, label), hue in zip(words.items(), HUES, strict=True):
            own = [row for row in rows if row["scale"] == scale and row["split"] == split]
            seen = [row["images"] for row in own]
            axis.plot(seen, [row["right"] for row in own], "o-", color=hue, label=label)
            axis.plot(seen, [row["shuffled"] for row in own], "o:", color=hue, ms=3,
                      label="the same, captions shuffled")  # fmt: skip
        for limit in (SEEN, UNSEEN):
            axis.axhline(limit, color="black", lw=0.6, ls=":")
        axis.set(ylim=(0, 1), xlabel="images seen in training", title=f"guidance scale {scale:g}")
        axis.legend(fontsize=7, loc="lower right")
    figure.axes[0].set_ylabel("share of attributes that are right")
    style.save(figure, path)
