"""The figures of the study: GLIDE's figure 6, and the same captions under every guidance."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.guidance import rule
from experiments.lab import style

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.guidance.measure import Samples

SHOWN = 8  # captions
HUES = {rule.FREE: style.BLUE, rule.HEAD: style.GREEN, rule.CLIP: style.ORANGE}
MARKS = {rule.FREE: "o", rule.HEAD: "s", rule.CLIP: "^"}
PANELS = (  # x, y, and which way is better on each axis
    ("recall", "precision", 1, 1),
    ("frechet_distance", "inception_score", -1, 1),
    ("frechet_distance", "clip_score", -1, 1),
)
LABELS = {
    "recall": "recall (more is better)",
    "precision": "precision (more is better)",
    "frechet_distance": "Fréchet distance (less is better)",
    "inception_score": "Inception Score (more is better)",
    "clip_score": "CLIP score (more is better)",
}
Place = tuple[float, float]


def curves(found: Mapping[str, Sequence[Samples]], path: Path) -> None:
    """A curve a mode, a point a scale, from seed to seed; rings where no other point is better."""
    figure = style.panels(1, len(PANELS), width=4.6, height=4.0)
    for axis, (x, y, right, up) in zip(figure.axes, PANELS, strict=True):
        places: list[Place] = []
        for mode, samples_of_mode in found.items():
            own = _by_scale(samples_of_mode)
            xs, ys = _spread(own, x), _spread(own, y)
            axis.errorbar(
                xs[0], ys[0], xerr=xs[1:], yerr=ys[1:], marker=MARKS[mode], color=HUES[mode],
                ms=4, lw=1.3, elinewidth=0.8, label=f"{rule.WORDS[mode]} guidance",
            )  # fmt: skip
            for scale, across, high in zip(own, xs[0], ys[0], strict=True):
                axis.annotate(f"{scale:g}", (across, high), xytext=(4, 4), fontsize=6.5,
                              textcoords="offset points", color=HUES[mode])  # fmt: skip
            places += zip(xs[0], ys[0], strict=True)
        best = front(places, right=right, up=up)
        axis.plot(*zip(*best, strict=True), "o", ms=10, mfc="none", mec="black", mew=0.8,
                  linestyle="none", label="no point is better in both")  # fmt: skip
        axis.set(xlabel=LABELS[x], ylabel=LABELS[y])
    figure.axes[0].legend(fontsize=7)
    style.save(figure, path)


def front(places: Sequence[Place], *, right: int, up: int) -> list[Place]:
    """The Pareto front: places than which no other is better on one axis and as good on both.

    Args:
        places: on the two axes.
        right: 1 where more is better on the first, -1 where less is.
        up: the same for the second.
    """

    def beats(one: Place, other: Place) -> bool:
        dx, dy = right * (one[0] - other[0]), up * (one[1] - other[1])
        return dx >= 0 and dy >= 0 and (dx > 0 or dy > 0)

    best = {place for place in places if not any(beats(one, place) for one in places)}
    return sorted(best)


def samples(found: Mapping[str, Sequence[Samples]], path: Path) -> None:
    """A row a mode and scale, a column a caption, the same noise in each."""
    rows = _rows(found)
    first = rows[0][1]
    columns = min(SHOWN, len(first.images))
    step = len(first.images) // columns
    figure = style.panels(len(rows), columns, width=1.0, height=1.0)
    for (label, own), axes in zip(rows, style.rows_of(figure, columns), strict=True):
        for k, axis in enumerate(axes):
            axis.imshow(own.images[k * step].permute(1, 2, 0).numpy(), interpolation="nearest")
            axis.set_axis_off()
            if own is first:
                axis.set_title(textwrap.fill(own.captions[k * step], 16), fontsize=6)
        axes[0].text(-0.1, 0.5, label, transform=axes[0].transAxes, ha="right", va="center",
                     fontsize=7)  # fmt: skip
    style.save(figure, path)


def _rows(found: Mapping[str, Sequence[Samples]]) -> list[tuple[str, Samples]]:
    """The model alone, then of each mode its weakest, a middle and its strongest scale."""
    rows: list[tuple[str, Samples]] = []
    for mode, samples_of_mode in found.items():
        own = [each[0] for each in _by_scale(samples_of_mode).values()]
        if not rows:
            rows.append(("without\nguidance", own[0]))
        guided = own[1:]
        places = sorted({0, len(guided) // 2, len(guided) - 1})
        rows += [(f"{rule.WORDS[mode]}\n{guided[k].scale:g}", guided[k]) for k in places]
    return rows


def _by_scale(samples_of_mode: Sequence[Samples]) -> dict[float, list[Samples]]:
    scales = sorted({own.scale for own in samples_of_mode})
    return {scale: [own for own in samples_of_mode if own.scale == scale] for scale in scales}


def _spread(
    own: Mapping[float, Sequence[Samples]], metric: str
) -> tuple[list[float], list[float], list[float]]:
    """Means over seeds, and how far the least and the most lie from them."""
    values = [[one.value(metric) for one in each] for each in own.values()]
    means = [statistics.fmean(each) for each in values]
    # Rounding may put the mean of equal numbers a hair outside them; bars have no negative length.
    below = [max(0.0, mean - min(each)) for mean, each in zip(means, values, strict=True)]
    above = [max(0.0, max(each) - mean) for mean, each in zip(means, values, strict=True)]
    return means, below, above
