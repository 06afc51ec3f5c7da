"""When claim 2 counts as supported; written down before the first run, in words in README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.lab.findings import Answer, Verdict

SHARE = 0.05  # two distances that differ by less count as equal
MOST = 0.5  # share of the midpoints that have to lie between their ends


@dataclass(frozen=True)
class Seed:
    """Fréchet distances to real images, of one seed.

    Attributes:
        ae_random: of random points of the autoencoder's space (as wide as its codes).
        ae_rebuilt: of its reconstructions.
        ae_middle: of its midpoints.
        vae_random: of points of the VAE's prior.
        vae_rebuilt: of its reconstructions.
        vae_middle: of its midpoints.
        vae_crossfade: of the mean of the same pairs' reconstructions.
        vae_between: share of its midpoints that are nearer to both ends than these are to one
            another.
        noise: of shuffled pixels.
    """

    ae_random: float
    ae_rebuilt: float
    ae_middle: float
    vae_random: float
    vae_rebuilt: float
    vae_middle: float
    vae_crossfade: float
    vae_between: float
    noise: float


def further(a: float, b: float) -> int:
    """1 if a is clearly larger than b, -1 if clearly smaller, 0 otherwise."""
    if abs(a - b) <= SHARE * max(abs(a), abs(b)):
        return 0
    return 1 if a > b else -1


def holes(seed: Seed) -> int:
    """Whether random points cost the autoencoder more than the VAE: 1 yes, -1 no, 0 open."""
    lost_ae = seed.ae_random - seed.ae_rebuilt
    lost_vae = seed.vae_random - seed.vae_rebuilt
    return _both(further(seed.ae_random, seed.vae_random), further(lost_ae, lost_vae))


def blends(seed: Seed) -> int:
    """Whether the VAE's midpoints are images, and of both ends: 1 yes, -1 no, 0 open.

    A cross-fade of the pixels is the trivial midpoint of two images: a blend must look at least
    as real. It is made of the same decoder's reconstructions, so that their blur affects both.
    """
    if further(seed.vae_middle, seed.vae_crossfade) == 1 or seed.vae_between < MOST:
        return -1
    return 1


def verdict(seeds: Sequence[Seed]) -> Verdict:
    """Both halves of the claim, over all seeds."""
    halves = [_agreed([half(seed) for seed in seeds]) for half in (holes, blends)]
    answer: Answer = "undecided"
    if all(half == 1 for half in halves):
        answer = "supported"
    elif -1 in halves:
        answer = "not supported"
    return Verdict(answer, f"{_holes_words(halves[0], seeds)} {_blends_words(halves[1], seeds)}")


def _both(first: int, second: int) -> int:
    """Yes if both say so, no if one is reversed."""
    if first == second == 1:
        return 1
    return -1 if -1 in (first, second) else 0


def _agreed(values: Sequence[int]) -> int:
    return values[0] if len(set(values)) == 1 else 0


SAID = {1: "supported", -1: "not supported", 0: "undecided"}


def _holes_words(answer: int, seeds: Sequence[Seed]) -> str:
    place = _mean([(s.ae_random - s.ae_rebuilt) / (s.noise - s.ae_rebuilt) for s in seeds])
    vae = _mean([(s.vae_random - s.vae_rebuilt) / (s.noise - s.vae_rebuilt) for s in seeds])
    return (
        f"That the autoencoder's space has holes and the VAE's has none is {SAID[answer]}: random "
        f"points decode to images at a Fréchet distance of {_means(seeds, 'ae_random')} with the "
        f"autoencoder (its reconstructions: {_means(seeds, 'ae_rebuilt')}) and of "
        f"{_means(seeds, 'vae_random')} with the VAE ({_means(seeds, 'vae_rebuilt')}); on the way "
        f"from a model's reconstructions (0) to shuffled pixels (1) they lie at {place:.2f} and "
        f"{vae:.2f}."
    )


def _blends_words(answer: int, seeds: Sequence[Seed]) -> str:
    share = _mean([seed.vae_between for seed in seeds])
    return (
        f"That points between two samples of the VAE decode to blends is {SAID[answer]}: "
        f"midpoints lie at {_means(seeds, 'vae_middle')}, cross-fades of the same "
        f"reconstructions at {_means(seeds, 'vae_crossfade')}; {share:.0%} are between their "
        f"ends. The autoencoder's midpoints lie at {_means(seeds, 'ae_middle')}."
    )


def _means(seeds: Sequence[Seed], name: str) -> str:
    return f"{_mean([getattr(seed, name) for seed in seeds]):.1f}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
