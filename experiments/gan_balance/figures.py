"""The figures of the study: distance against strength, curves, samples."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from experiments.lab import style
from experiments.lab.sweep import Outcome
from genzoo.report.contact_sheet import draw_sheet
from genzoo.report.gallery import Item as Caption
from genzoo.report.gallery import Row, Sheet

Games = Sequence[tuple[Any, Outcome, Mapping[str, Any]]]  # point, outcome, row of the table

HUES = (style.BLUE, style.RED, style.GREEN)
CURVES = {
    "train/discriminator/loss": "loss of the discriminator",
    "train/generator/loss": "loss of the generator",
    "train/discriminator/accuracy_real": "share of real images taken for real",
    "train/discriminator/accuracy_generated": "share of generated images seen through",
}
SHOWN = 10  # samples a row


def summary(games_run: Games, path: Path) -> None:
    """A row a game: Fréchet distance and accuracies at the end, against the ratio."""
    games = list(dict.fromkeys(point.game for point, _, _ in games_run))
    titles = {
        "distance": "Fréchet distance at the end (lower is better)",
        "accuracy_real": "share of real images taken for real",
        "accuracy_generated": "share of generated images seen through",
    }
    figure = style.panels(len(games), 3, width=4.6, height=3.6)
    for game, axes in zip(games, style.rows_of(figure, 3), strict=True):
        rows = [row for _, _, row in games_run if row["game"] == game]
        for axis, (key, title) in zip(axes, titles.items(), strict=True):
            _against_ratio(axis, rows, key)
            axis.set_title(f"{game} game: {title}", fontsize=9)
            axis.set_xlabel("discriminator : generator")
        axes[0].legend(fontsize=8)
    style.save(figure, path)


def _against_ratio(axis: Axes, rows: Sequence[Mapping[str, Any]], key: str) -> None:
    even = [_value(row, key) for row in rows if row["axis"] is None]
    even = [value for value in even if value is not None]
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
    if even:
        axis.axhspan(min(even), max(even), color=style.GREY, alpha=0.2, lw=0)
        axis.plot([1.0] * len(even), even, "o", color=style.GREY, ms=4, label="balanced, seeds")
    names = dict.fromkeys(row["axis"] for row in rows if row["axis"])
    for name, hue in zip(names, HUES, strict=False):
        own = [(row["ratio"], _value(row, key)) for row in rows if row["axis"] == name]
        line = [(ratio, value) for ratio, value in own if value is not None]
        line += [(1.0, statistics.fmean(even))] if even else []
        axis.plot(*zip(*sorted(line), strict=True), "o-", color=hue, lw=1.6, ms=5, label=name)
        broken = [ratio for ratio, value in own if value is None and key == "distance"]
        for k, ratio in enumerate(broken):
            label = None if k else f"{name}: broke down"
            across = axis.get_xaxis_transform()
            axis.plot(ratio, 0.97, "x", color=hue, transform=across, label=label)
    if key != "distance":
        axis.set_ylim(-0.03, 1.03)


def _value(row: Mapping[str, Any], key: str) -> float | None:
    value = row[key]
    return value[-1] if isinstance(value, list) else value


def curves(games_run: Games, path: Path) -> None:
    """A row a game and axis: losses, accuracies and distance over the training."""
    rows = [
        (game, axis)
        for game, axis in dict.fromkeys((p.game, p.axis) for p, _, _ in games_run)
        if axis is not None
    ]
    columns = len(CURVES) + 1
    figure = style.panels(len(rows), columns, width=3.6, height=2.6)
    for (game, name), axes in zip(rows, style.rows_of(figure, columns), strict=True):
        own = [d for d in games_run if d[0].game == game and d[0].axis == name]
        first = next(d for d in games_run if d[0].game == game and d[0].axis is None)
        lines = sorted([first, *own], key=lambda d: d[0].ratio)
        for colour, (point, outcome, row) in zip(_colours(lines), lines, strict=True):
            label = f"{point.ratio:g} : 1" if point.axis else "balanced"
            for axis, key in zip(axes, CURVES, strict=False):
                line = outcome.curve(key)
                axis.plot([x for x, _ in line], [y for _, y in line], color=colour, label=label)
            _distances(axes[-1], point, row, colour, label)
        for axis, title in zip(axes, [*CURVES.values(), "Fréchet distance"], strict=True):
            axis.set_title(title, fontsize=9)
            axis.set_xlabel("share of the training", fontsize=8)
            axis.set_xlim(0, 1.03)
        for axis in axes[2:4]:
            axis.set_ylim(-0.03, 1.03)
        axes[0].set_ylabel(f"{game},\n{name}")
        axes[0].legend(fontsize=7, title="D : G", title_fontsize=7)
    style.save(figure, path)


def _colours(lines: Games) -> list[str]:
    """Blue where the discriminator is weak, grey in balance, red where it is strong."""
    shades = {
        -1: itertools.cycle((style.BLUE, "#56B4E9")),
        1: itertools.cycle(("#E69F00", style.RED)),
    }
    if sum(point.ratio > 1 for point, _, _ in lines) == 1:
        shades[1] = itertools.cycle((style.RED,))
    return [
        style.GREY if d[0].axis is None else next(shades[1 if d[0].ratio > 1 else -1])
        for d in lines
    ]


def _distances(axis: Axes, point: Any, row: Mapping[str, Any], colour: str, label: str) -> None:
    line = [
        (images / row["images"][-1], value)
        for images, value in zip(row["images"], row["distance"], strict=True)
        if value is not None
    ]
    axis.plot([x for x, _ in line], [y for _, y in line], "o-", color=colour, label=label, ms=4)


def samples(games_run: Games, path: Path) -> None:
    """Real images, then samples of each game's generator at the end, for the same captions."""
    there = [(p, o) for p, o, _ in games_run if o.last.gallery and p.seed == games_run[0][0].seed]
    if not there:
        return
    gallery = there[0][1].last.gallery[:SHOWN]
    rows = tuple(
        Row(f"{p.game} · {p.axis or 'balanced'} · {p.ratio:g} : 1",
            tuple(item.sample for item in o.last.gallery[:SHOWN]))
        for p, o in there
    )  # fmt: skip
    sheet = Sheet(
        seed=there[0][0].seed,
        items=tuple(Caption(item.index, item.caption, item.split) for item in gallery),
        real=Row("real", tuple(item.real for item in gallery)),
        samples=rows,
        reconstructions=(),
    )
    draw_sheet(sheet).save(path)
