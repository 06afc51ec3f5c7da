"""The style of the studies' figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Distinguishable for colour-blind readers (Okabe & Ito), and by their lightness in print.
BLUE, ORANGE, GREEN, GREY, RED = "#0072B2", "#E69F00", "#009E73", "#777777", "#D55E00"


def panels(rows: int, columns: int, *, width: float = 4.2, height: float = 3.0) -> Figure:
    """A figure with so many panels."""
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(visible=True, color="#e6e6e6", linewidth=0.7)
        axis.set_axisbelow(True)
    return figure


def rows_of(figure: Figure, columns: int) -> list[list[Axes]]:
    """Its panels, row by row."""
    axes = figure.axes
    return [axes[k : k + columns] for k in range(0, len(axes), columns)]


def save(figure: Figure, path: Path) -> None:
    """Write it and forget it."""
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
