"""The numbers that metrics depend on, beside features."""

from __future__ import annotations

from dataclasses import dataclass

from genzoo.core.errors import UsageError

LEVELS = (1, 2, 4)  # a distance is extrapolated from those of all samples, of halves, of quarters
# Of memorisation, see genzoo.metrics.memorisation, which needs torch; a stamp does not.
AROUND = 50  # nearest training images whose mean distance is the yardstick
RATE = 0.01  # of held-out images below the threshold


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """What configs/metrics/*.yaml sets; every stamp carries it.

    Attributes:
        splits: parts of the Inception Score, 10 in the literature.
        subsets: pairs of subsets of the kernel distance, 100 in the literature.
        subset_size: images in such a subset, 1000 in the literature; see `effective_subset`.
        neighbours: k of precision and recall, 3 in the literature.
        density_neighbours: k of density and coverage, 5 in the literature.
        neighbour_images: images of either kind that these four compare at most, for their cost
            grows with the square; None for all.
        seed: of the Inception Score's permutation, the kernel distance's subsets and the order
            in which samples are parted.

    Raises:
        UsageError: one of them is too small.
    """

    splits: int
    subsets: int
    subset_size: int
    neighbours: int
    density_neighbours: int
    neighbour_images: int | None
    seed: int

    def __post_init__(self) -> None:
        least = {"splits": 1, "subsets": 1, "subset_size": 2}
        least |= {"neighbours": 1, "density_neighbours": 1, "seed": 0}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise UsageError(
                    f"metrics.{name}={getattr(self, name)} is too small",
                    f"set metrics.{name} to at least {minimum}",
                )

        wide = max(self.neighbours, self.density_neighbours)
        if self.neighbour_images is not None and self.neighbour_images <= wide:
            raise UsageError(
                f"metrics.neighbour_images={self.neighbour_images} has no {wide} neighbours",
                f"set metrics.neighbour_images to {wide + 1} or more, or to null for all images",
            )

    def effective_subset(self, real: int, fake: int) -> int:
        """`subset_size`, but at most half of the smaller set.

        The estimate is unbiased at any size; of subsets that hold all images the spread would
        be zero and say nothing.
        """
        return max(2, min(self.subset_size, min(real, fake) // 2))

    def neighbours_among(self, count: int) -> int:
        """How many of so many images neighbours are looked for among."""
        return count if self.neighbour_images is None else min(count, self.neighbour_images)

    def of(self, kind: str, *, real: int, fake: int) -> str:
        """The settings behind one metric, in words, for its stamp."""
        counts = [self.neighbours_among(real), self.neighbours_among(fake)]
        of = "" if counts == [real, fake] else f" among {counts[0]} real, {counts[1]} generated"
        return {
            "inception_score": f"{self.splits} splits, permutation {self.seed}",
            "kernel_distance": f"{self.subsets} subsets of {self.effective_subset(real, fake)}, "
            f"seed {self.seed}",
            "frechet_distance_infinity": "line over 1/N through N = "
            f"{', '.join(str(fake // level) for level in LEVELS)}, order {self.seed}",
            "cmmd": "unbiased, Gaussian kernel of sigma 10, times 1000",
            "vendi": "cosine kernel",
            "precision": f"k={self.neighbours}{of}",
            "recall": f"k={self.neighbours}{of}",
            "density": f"k={self.density_neighbours}{of}",
            "coverage": f"k={self.density_neighbours}{of}",
            "memorised": f"distance over that of {AROUND} nearest, threshold at {RATE:.0%} of "
            "held-out images",
        }.get(kind, "")
