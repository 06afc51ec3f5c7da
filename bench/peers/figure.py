"""samples.png: a labelled row of samples a contestant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from bench.peers.contestants import CONTESTANTS
from bench.peers.results import strip


def write(folder: Path, group: Mapping[str, Any]) -> Path | None:
    """The rows of one set of conditions; None where nobody has samples."""
    rows = {n: strip(folder, group["key"], n) for n in group["contestants"]}
    rows = {name: path for name, path in rows.items() if path.exists()}
    if not rows:
        return None
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.9 * len(rows)), squeeze=False)
    for axis, (name, path) in zip(axes[:, 0], rows.items(), strict=True):
        axis.imshow(plt.imread(path), interpolation="nearest")
        axis.set_ylabel(CONTESTANTS[name].label, rotation=0, ha="right", va="center", fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    c = group["conditions"]
    figure.suptitle(f"{c['minutes']:g} minutes of training, seed {c['seed']}", fontsize=9)
    figure.savefig(folder / "samples.png", dpi=150, bbox_inches="tight")
    plt.close(figure)
    return folder / "samples.png"
