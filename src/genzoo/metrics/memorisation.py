"""Memorisation: the share of samples that are near-copies of training images.

A sample's distance to the nearest training image says nothing by itself: where training images
are dense, new images lie near one, too. So it is divided by the mean distance to the 50 nearest
(Carlini et al. 2023, 2301.13188, section 5), which is a ratio from 0, a copy, to 1; and what a
ratio means is read off held-out images, which the model cannot have learned by heart. The
threshold is the ratio that 1 % of them fall below. As many samples would without any copying; what
goes beyond is the share of near-copies.

Chosen over others by an experiment (docs/memorisation.md): of samples with 0, 1, 10 and 100 %
copies this finds the share, with an interval that holds it. The distance over that of the second
nearest misses copies of images that have a near-duplicate. C_T (Meehan et al. 2020), FLD's gap
(Jiralerspong et al. 2023, 2302.04440) and MiFID's distance (Bai et al. 2021) compare whole
distributions: they give no share, and do not see 1 %. Authenticity (Alaa et al. 2022) is not
calibrated: it calls a sixth of new images copies.

What it cannot see is what the features do not: a copy that is changed in a way that moves its
features further than new images lie from training images is none to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.metrics.distances import Block, Distances
from genzoo.metrics.interval import Interval, Z, wilson
from genzoo.metrics.nearest import Nearest, NearestRows, nearest
from genzoo.metrics.real import RealFeatures
from genzoo.metrics.settings import AROUND, RATE
from genzoo.metrics.stamp import Plain

LEAST = 20  # images of either kind; with fewer even the threshold is chance
MOST_HELD_OUT = 2000  # that calibrate; more hardly narrow the interval


class Pair(NamedTuple):
    """A sample and the training image nearest to it.

    Attributes:
        sample: its number.
        training: the row of the training image's features.
        ratio: the distance over the mean distance to the nearest training images.
    """

    sample: int
    training: int
    ratio: float


@dataclass(frozen=True)
class Memorisation:
    """What was found in some samples.

    Attributes:
        share: of near-copies, in [0, 1].
        known: its standard error and 95 % interval, within [0, 1]: Wilson's of both shares that
            it is the difference of, combined (Newcombe 1998, method 10).
        threshold: the ratio up to which a sample counts.
        ratio: of each sample.
        row: of the training image nearest to each.
    """

    share: float
    known: Interval
    threshold: float
    ratio: Float[Tensor, " m"]
    row: Tensor

    def most_suspicious(self, count: int) -> list[Pair]:
        """The samples with the smallest ratios, one for each training image."""
        return list(self._suspicious(count))

    def _suspicious(self, count: int) -> Iterator[Pair]:
        seen: set[int] = set()
        for sample in self.ratio.argsort(stable=True).tolist():
            training = int(self.row[sample])
            if len(seen) < count and training not in seen:
                seen.add(training)
                yield Pair(sample, training, float(self.ratio[sample]))


@dataclass(frozen=True)
class Calibration:
    """Training images, and how near to them held-out images come.

    Attributes:
        training: the images that may have been learned by heart.
        held_out: the ratio of each held-out image, ascending.
    """

    training: RealFeatures
    held_out: Float[Tensor, " h"]

    @property
    def about(self) -> dict[str, Plain]:
        """What a stamp says of memorisation in place of the real images of other metrics."""
        return {
            "real_images": len(self.training),
            "real_split": self.training.split,
            "real_indices": self.training.indices,
            "calibration_images": len(self.held_out),
        }

    @property
    def threshold(self) -> float:
        """The ratio that `RATE` of the held-out images fall below, or the first of them."""
        return float(self.held_out[max(1, int(RATE * len(self.held_out))) - 1])

    def judge(self, found: Nearest) -> Memorisation:
        """Which share of samples, by the training images nearest to them, are near-copies.

        Of new samples as many are below the threshold as of held-out images, h; of samples s, of
        which a share p are copies, p + (1 - p) h. So p = (s - h) / (1 - h).
        """
        ratio = ratios(found)
        share, known = share_of_copies(
            int((ratio <= self.threshold).sum()),
            len(ratio),
            int((self.held_out <= self.threshold).sum()),
            len(self.held_out),
        )
        return Memorisation(share, known, self.threshold, ratio, found.row[:, 0])


class CopySearch:
    """Looks for the training images nearest to each sample, block after block of distances.

    Args:
        calibration: of what a small distance means.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.training = calibration.training
        self.found: Memorisation | None = None
        self._nearest = NearestRows(min(AROUND, len(self.training)), exact=(0,))

    def add(self, block: Block) -> None:
        """Distances from the next samples to all training images, from somebody else's pass."""
        self._nearest.add(block)

    def result(self, samples: Float[Tensor, "m d"], *, device: torch.device) -> Memorisation:
        """What was found; distances that nobody has handed over are computed on `device`."""
        if not len(self._nearest):
            sets = Distances(samples, self.training.pooled, device=device)
            for block in sets.blocks("nearest training images"):
                self.add(block)
        self.found = self.calibration.judge(self._nearest.result())
        return self.found


def calibrate(
    training: RealFeatures, held_out: RealFeatures, *, device: torch.device
) -> Calibration:
    """See how near held-out images come to training images.

    Args:
        training: features of the training images.
        held_out: of held-out ones, by the same extractor.
        device: where distances are computed.
    """
    k = min(AROUND, len(training))
    found = nearest(held_out.pooled, training.pooled, k=k, exact=(0,), device=device)
    return Calibration(training, ratios(found).sort().values)


def too_few_for_memorisation(training: int, held_out: int) -> str | None:
    """Why memorisation cannot be measured with so many images; None where it can."""
    for count, kind in ((training, "training"), (held_out, "held-out")):
        if count < LEAST:
            images = f"{count} {kind} image{'' if count == 1 else 's'}"
            return f"{images}, and {LEAST} are the least that a near-copy can be told by"
    return None


def ratios(found: Nearest) -> Float[Tensor, " m"]:
    """The distance to the nearest over the mean of all distances; 0 for exact copies."""
    distance = found.squared.sqrt()
    ratio = distance[:, 0] / distance.mean(1)
    return ratio.masked_fill(distance[:, 0] == 0, 0.0)


def share_of_copies(
    below: int, samples: int, held_out_below: int, held_out: int
) -> tuple[float, Interval]:
    """The share of copies by how many of each kind are below the threshold, and its interval."""
    s, h = below / samples, held_out_below / held_out
    if h == 1.0:  # every new image is like a copy: nothing can be told
        return 0.0, Interval(1 / (2 * Z), (0.0, 1.0))
    of_samples, of_held_out = wilson(below, samples), wilson(held_out_below, held_out)
    down = math.hypot(s - of_samples.interval[0], of_held_out.interval[1] - h)
    up = math.hypot(of_samples.interval[1] - s, h - of_held_out.interval[0])

    def share(difference: float) -> float:
        return min(1.0, max(0.0, difference / (1 - h)))

    error = math.hypot(of_samples.standard_error, of_held_out.standard_error) / (1 - h)
    return share(s - h), Interval(error, (share(s - h - down), share(s - h + up)))
