"""Autoencoder against VAE: decoded random points, and points between two images' codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from experiments.lab import trained as lab
from experiments.lab.command import Settings, Study
from experiments.lab.entries import Entry
from experiments.lab.findings import Findings, Table, over_seeds, shown
from experiments.lab.sweep import Outcome, Run, StudyError
from experiments.latent_space import figures, images, rule
from experiments.latent_space.measure import measure

# What each row of the table is, in words, by kind of image.
MODEL_KINDS = {
    "reconstruction": "held-out images, encoded and decoded",
    "own": "random, from the model's own distribution",
    "spread": "random, as wide as the codes",
    "standard": "random, N(0, 1)",
    "midpoint": "half-way between two codes",
    "crossfade": "half-way between two reconstructions' pixels",
}
REFERENCES = {
    "real": "held-out images themselves",
    "crossfade": "half-way between two images' pixels",
    "noise": "held-out images with shuffled pixels",
}
Measured = dict[str, dict[str, Entry]]  # by kind, by metric


def plan(settings: Settings) -> list[Run]:
    """Every model with every seed."""
    return [
        Run(
            f"{name}-seed{seed}",
            (*own, *settings["shared"], *settings["overrides"], f"seed={seed}"),
            tuple(settings["stages"]),
        )
        for name, own in settings["models"].items()
        for seed in settings["seeds"]
    ]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Decode, measure, apply the rule."""
    names = [(model, seed) for model in settings["models"] for seed in settings["seeds"]]
    numbers: dict[str, list[Any]] = {"measured": [], "sharpness": []}
    found: dict[tuple[str, int], Measured] = {}
    rows_by_name: dict[str, Tensor] = {}
    for (model, seed), outcome in zip(names, outcomes, strict=True):
        if outcome.broken:
            raise StudyError(f"{outcome.run.name} broke down: {outcome.broken}")
        print(f"  measuring {outcome.run.name}", flush=True)
        trained = lab.load(outcome.last.folder)
        kinds = images.kinds(trained, count=settings["images"], steps=settings["steps"])
        found[model, seed] = measure(trained, kinds.images, settings["extractor"])
        numbers["sharpness"].append({"of": model, "seed": seed, "along": kinds.sharpness})
        if seed == settings["seeds"][0]:
            rows_by_name |= {f"{model} {kind}": part for kind, part in kinds.images.items()}
            rows_by_name[f"{model} path"] = kinds.paths
        if model == names[0][0]:
            own, paths = _references(trained, settings)
            found["reference", seed] = measure(trained, own, settings["extractor"])
            fading = {"of": "crossfade", "seed": seed, "along": images.sharpness(paths)}
            numbers["sharpness"].append(fading)
            rows_by_name |= {"real": own["real"], "crossfade path": paths[: images.ROWS]}
    numbers["measured"] = [
        {"of": of, "seed": seed, "kind": kind, "metrics": entries}
        for (of, seed), measured in found.items()
        for kind, entries in measured.items()
    ]
    return Findings(
        rule.verdict([_seed(found, seed) for seed in settings["seeds"]]),
        [_table(found, settings)],
        numbers,
        {
            "picture.png": partial(figures.samples, rows_by_name),
            "distances.png": partial(figures.charts, numbers),
        },
    )


def _references(trained: lab.LoadedModel, settings: Settings) -> tuple[dict[str, Tensor], Tensor]:
    """Images that no model made, and the paths through pixels."""
    real, _ = images.held_out(trained, settings["images"])
    paths = images.crossfades(real, settings["steps"])
    middle = paths[:, settings["steps"] // 2].contiguous()
    noise = images.shuffled(real, seed=int(trained.cfg.seed))
    return {"real": real, "crossfade": middle, "noise": noise}, paths


def _seed(found: Mapping[tuple[str, int], Measured], seed: int) -> rule.Seed:
    def distance(of: str, kind: str) -> float:
        return float(found[of, seed][kind]["frechet_distance"]["value"])

    return rule.Seed(
        ae_random=distance("autoencoder", "spread"),
        ae_rebuilt=distance("autoencoder", "reconstruction"),
        ae_middle=distance("autoencoder", "midpoint"),
        vae_random=distance("vae", "own"),
        vae_rebuilt=distance("vae", "reconstruction"),
        vae_middle=distance("vae", "midpoint"),
        vae_crossfade=distance("vae", "crossfade"),
        vae_between=float(found["vae", seed]["midpoint"]["between"]["value"]),
        noise=distance("reference", "noise"),
    )


def _table(found: Mapping[tuple[str, int], Measured], settings: Settings) -> Table:
    kinds = [(model, MODEL_KINDS) for model in settings["models"]] + [("reference", REFERENCES)]
    rows = []
    for of, words in kinds:
        for kind, text in words.items():
            entries = [found[of, seed][kind] for seed in settings["seeds"]]
            columns = ("frechet_distance", "kernel_distance", "precision", "recall", "between")
            rows.append([of, text, *(_cell(entries, column) for column in columns)])
    note = (
        "Against all training images, features by "
        f"`{settings['extractor']}`; means over seeds {', '.join(map(str, settings['seeds']))}, "
        "in brackets the values. *Between* is the share of midpoints whose features are nearer "
        "to both ends than these are to one another."
    )
    heads = ["of", "images", "Fréchet distance", "KID", "precision", "recall", "between"]
    return Table("Images and their distance to real ones", heads, rows, note)


def _cell(entries: Sequence[Mapping[str, Entry]], column: str) -> str:
    if column not in entries[0]:
        return shown(None)
    return over_seeds([float(entry[column]["value"]) for entry in entries])


STUDY = Study(Path(__file__).parent, plan, analyse)
