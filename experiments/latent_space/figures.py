"""The figures of the study: images at random points and along paths; distances and sharpness."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from torch import Tensor

from experiments.lab import style
from genzoo.core.image import grid

SHOWN = 12  # images a row
PATHS = 4
RULE = 215  # grey between the images
RANDOM = {
    "real": "real, held out",
    "autoencoder reconstruction": "autoencoder: these, reconstructed",
    "vae reconstruction": "VAE: these, reconstructed",
    "autoencoder standard": "autoencoder: random, N(0, 1)",
    "autoencoder spread": "autoencoder: random, as wide as the codes",
    "autoencoder own": "autoencoder: random, fitted Gaussian",
    "vae spread": "VAE: random, as wide as the codes",
    "vae own": "VAE: random, its prior",
}
WAYS = {
    "autoencoder path": "autoencoder: between two codes",
    "vae path": "VAE: between two codes",
    "crossfade path": "pixels: cross-fade",
}
HUES = {"autoencoder": style.RED, "vae": style.BLUE, "crossfade": style.GREY}
BARS = ("real", "reconstruction", "own", "spread", "standard", "midpoint", "crossfade", "noise")


def samples(rows_by_name: Mapping[str, Tensor], path: Path) -> None:
    """Rows of images at random points, and paths."""
    figure = style.panels(len(RANDOM) + len(WAYS), 1, width=11, height=1.0)
    heights = [1.0] * len(RANDOM) + [float(PATHS) * 0.8] * len(WAYS)
    figure.set_size_inches(11, sum(heights) * 0.75)
    figure.axes[0].get_gridspec().set_height_ratios(heights)
    titles = {**RANDOM, **WAYS}
    for axis, (key, title) in zip(figure.axes, titles.items(), strict=True):
        images = rows_by_name[key]
        if key in WAYS:
            columns = images.shape[1]
            tiles = grid(images[:PATHS].flatten(0, 1), columns=columns, pad=1, background=RULE)
        else:
            tiles = grid(images[:SHOWN], columns=SHOWN, pad=1, background=RULE)
        axis.imshow(tiles.permute(1, 2, 0).numpy(), interpolation="nearest")
        axis.set_axis_off()
        axis.text(-0.01, 0.5, title, transform=axis.transAxes, ha="right", va="center", fontsize=9)
    style.save(figure, path)


def charts(numbers: Mapping[str, Any], path: Path) -> None:
    """Fréchet distance by kind of image, and sharpness along the path."""
    figure = style.panels(1, 2, width=6.2, height=4.0)
    _bars(figure.axes[0], numbers)
    _sharpness(figure.axes[1], numbers)
    style.save(figure, path)


def _bars(axis: Axes, numbers: Mapping[str, Any]) -> None:
    values: dict[tuple[str, str], list[float]] = {}
    for row in numbers["measured"]:
        distance = row["metrics"]["frechet_distance"]["value"]
        values.setdefault((row["of"], row["kind"]), []).append(distance)
    order = ("autoencoder", "vae", "reference")
    keys = sorted(values, key=lambda key: (order.index(key[0]), BARS.index(key[1])))
    for place, key in enumerate(keys):
        hue = HUES.get(key[0], style.GREY)
        axis.barh(place, statistics.fmean(values[key]), color=hue, alpha=0.75)
        axis.plot(values[key], [place] * len(values[key]), "k.", ms=5)
    names = [f"{of} {kind}" if of != "reference" else kind for of, kind in keys]
    axis.set_yticks(range(len(keys)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("Fréchet distance to real images (a dot a seed; lower is better)")


def _sharpness(axis: Axes, numbers: Mapping[str, Any]) -> None:
    labelled: set[str] = set()
    for row in numbers["sharpness"]:
        steps = len(row["along"])
        where = [k / (steps - 1) for k in range(steps)]
        label = None if row["of"] in labelled else row["of"]
        axis.plot(where, row["along"], "o-", color=HUES[row["of"]], ms=3, label=label)
        labelled.add(row["of"])
    axis.set_xlabel("place on the path between two held-out images")
    axis.set_ylabel("sharpness, relative to the ends")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8)
