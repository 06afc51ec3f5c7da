"""The revision of each metric's definition, which its stamp carries.

The rule: raise a metric's number by one in the commit that changes what it gives for the same
images, weights and settings, and name the change under "Numbers" in the CHANGELOG. Then numbers
from before and after it are never ranked against one another. A change that the rest of the stamp
already shows (other weights, another resizing, another setting) or that moves only the spread or
the interval raises nothing. Numbers never go down, and a metric that is removed keeps its line.
"""

from __future__ import annotations

from collections.abc import Mapping

FIRST = 1

REVISIONS: Mapping[str, int] = {
    "frechet_distance": 1,
    "frechet_distance_infinity": 1,
    "kernel_distance": 1,
    "inception_score": 1,
    "precision": 1,
    "recall": 1,
    "density": 1,
    "coverage": 1,
    "memorised": 1,
    "vendi": 1,
    "cmmd": 1,
    "clip_score": 1,
    "caption_accuracy": 1,
    "bits_per_dim": 1,
    "reconstruction_psnr": 1,
    "recall_at_1": 1,
    "recall_at_5": 1,
    "accuracy": 1,
}

# The names that mean one network with one set of weights, by that network, and no other.
PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "inception": {
        "frechet_distance": "fid",
        "frechet_distance_infinity": "fid_infinity",
        "inception_score": "inception_score",
        "kernel_distance": "kid",
    },
    "dinov2": {
        "frechet_distance": "fd_dinov2",
        "frechet_distance_infinity": "fd_dinov2_infinity",
    },
    "clip_vit_l_14_336": {"cmmd": "cmmd"},
}

_KINDS = {name: kind for names in PUBLISHED.values() for kind, name in names.items()}


def kind_of(metric: str) -> str:
    """What a metric is, whatever its features: ``fid`` is a ``frechet_distance``."""
    kind = metric.partition("/")[0]
    return _KINDS.get(kind, kind)


def revision_of(metric: str) -> int:
    """The revision of a metric's definition; `FIRST` for one that genzoo does not have itself.

    Args:
        metric: its name as in results.json, such as ``fid`` or ``precision/dinov2``.
    """
    return REVISIONS.get(kind_of(metric), FIRST)
