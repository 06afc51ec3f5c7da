"""Retrieval by a noise-aware CLIP against the step of its process, as a figure.

It answers a common question about GLIDE's noisy CLIP (glide-text2im issue 44): how much of an
image is recognisable under noise, and what a CLIP can learn from pure noise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]
DIRECTIONS = {
    "image_to_text": "the caption of a noisy image",
    "text_to_image": "the noisy image of a caption",
}
AT_STEP = re.compile(r"recall_at_1/(\w+)/t_(\d+)")


def by_step(entries: Mapping[str, Entry]) -> dict[str, list[tuple[int, float]]]:
    """(step, recall at 1) in the order of the steps, for each direction that was measured."""
    found: dict[str, list[tuple[int, float]]] = {}
    for name, entry in entries.items():
        if match := AT_STEP.fullmatch(name):
            found.setdefault(match[1], []).append((int(match[2]), float(entry["value"])))
    return {direction: sorted(points) for direction, points in found.items()}


def draw_retrieval(entries: Mapping[str, Entry], path: Path) -> bool:
    """Write the curves, with chance as a line.

    Returns:
        False where nothing was measured, and no file is written.
    """
    curves = by_step(entries)
    if not curves:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    images = next(e["stamp"]["images"] for n, e in entries.items() if AT_STEP.fullmatch(n))
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    for direction, points in curves.items():
        steps, values = zip(*points, strict=True)
        axis.plot(steps, values, "o-", label=DIRECTIONS.get(direction, direction))
    axis.axhline(1 / images, color="#667085", linestyle="--", label=f"chance, 1 of {images}")
    axis.set_yscale("symlog", linthresh=1 / images, linscale=0.5)
    axis.set_ylim(0, 1)
    axis.set_xlabel("step of the noise, from a clean image to noise alone")
    axis.set_ylabel("found at once (recall at 1)")
    axis.legend(frameon=False)
    axis.grid(visible=True, color="#e6e6e6", linewidth=0.7)
    figure.savefig(path, dpi=120)
    return True
