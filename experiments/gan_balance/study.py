"""A sweep over how much stronger the discriminator is than the generator, on three axes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from experiments.gan_balance import figures, rule
from experiments.lab.command import Settings, Study
from experiments.lab.findings import Findings, Table, shown
from experiments.lab.sweep import Outcome, Run

LATE = 0.5  # the part of the training over which accuracies are averaged


@dataclass(frozen=True)
class Point:
    """A game at one ratio of strengths.

    Attributes:
        game: its name.
        axis: what makes the difference; None for the balanced game.
        ratio: discriminator to generator, along that axis.
        seed: of the run.
        run: to carry out.
    """

    game: str
    axis: str | None
    ratio: float
    seed: int
    run: Run


def points(settings: Settings) -> Iterator[Point]:
    """Every run of the sweep; the balanced game has several seeds and belongs to all axes."""
    for game, rules in settings["games"].items():
        common = _replaced(settings["shared"], [*settings["overrides"], *rules])
        for seed in settings["seeds"]:
            name = f"{game}-balanced-seed{seed}"
            run = Run(name, (*common, f"seed={seed}"), tuple(settings["stages"]))
            yield Point(game, None, 1.0, seed, run)
        for axis, steps in settings["axes"].items():
            for step in steps:
                seed, times = settings["seeds"][0], step.get("images", 1)
                name = f"{game}-{axis.replace(' ', '_')}-{step['ratio']:g}"
                overrides = _replaced(common, [*step["overrides"], f"seed={seed}"])
                stages = tuple(times * images for images in settings["stages"])
                run = Run(name, overrides, stages)
                yield Point(game, axis, float(step["ratio"]), seed, run)


def plan(settings: Settings) -> list[Run]:
    """The runs alone."""
    return [point.run for point in points(settings)]


def analyse(outcomes: Sequence[Outcome], settings: Settings) -> Findings:
    """Tables, verdict and figures."""
    found = list(zip(points(settings), outcomes, strict=True))
    metric = settings["metric"]
    balanced, sides = {}, {}
    for game in settings["games"]:
        even = [outcome for point, outcome in found if point.game == game and point.axis is None]
        balanced[game] = rule.Balanced(
            [outcome.metric(metric, 0) for outcome in even],
            [outcome.metric(metric) for outcome in even],
        )
        sides[game] = {
            axis: _sides(found, game, axis, balanced[game], metric) for axis in settings["axes"]
        }
    numbers = {
        "points": [_numbers(point, outcome, metric) for point, outcome in found],
        "games": {
            game: {"margin": None if b.broken else b.margin, "sides": sides[game]}
            for game, b in balanced.items()
        },
    }
    games_run = [(p, o, n) for (p, o), n in zip(found, numbers["points"], strict=True)]
    return Findings(
        rule.verdict(balanced, sides),
        [_table(game, numbers["points"], settings) for game in settings["games"]],
        numbers,
        {
            "picture.png": partial(_plot, figures.summary, games_run),
            "curves.png": partial(_plot, figures.curves, games_run),
            "samples.png": partial(_plot, figures.samples, games_run),
        },
    )


def _plot(plot: Any, games_run: Any, path: Path) -> None:
    plot(games_run, path)


def _replaced(common: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """Overrides with each key once, as a person would type them."""
    keys = {override.partition("=")[0] for override in own}
    return (*(c for c in common if c.partition("=")[0] not in keys), *own)


def _sides(
    found: Sequence[tuple[Point, Outcome]],
    game: str,
    axis: str,
    balanced: rule.Balanced,
    metric: str,
) -> tuple[rule.Side, rule.Side]:
    """How the weakest and the strongest discriminator of an axis did."""
    there = sorted(
        (
            (point.ratio, outcome)
            for point, outcome in found
            if (point.game, point.axis) == (game, axis)
        ),
        key=lambda pair: pair[0],
    )
    if balanced.broken:
        return "same", "same"
    weak, strong = (rule.side(there[k][1].metric(metric), balanced) for k in (0, -1))
    return weak, strong


def _numbers(point: Point, outcome: Outcome, metric: str) -> dict[str, Any]:
    """A row of the table."""
    return {
        "game": point.game,
        "axis": point.axis,
        "ratio": point.ratio,
        "seed": point.seed,
        "run": point.run.name,
        "distance": [outcome.metric(metric, k) for k in range(len(point.run.stages))],
        "images": list(point.run.stages),
        "accuracy_real": _late(outcome, "train/discriminator/accuracy_real"),
        "accuracy_generated": _late(outcome, "train/discriminator/accuracy_generated"),
        "discriminator_loss": _late(outcome, "train/discriminator/loss"),
        "generator_loss": _late(outcome, "train/generator/loss"),
        "broke_down": outcome.broken,
    }


def _late(outcome: Outcome, name: str) -> float | None:
    values = [value for share, value in outcome.curve(name) if share > LATE]
    return statistics.fmean(values) if values else None


def _table(game: str, rows: Sequence[dict[str, Any]], settings: Settings) -> Table:
    stages = [f"FD after {images:,}" for images in settings["stages"]]
    heads = ["axis", "D : G", "seed", *stages, "real taken for real", "generated seen through"]
    heads += ["loss D", "loss G"]
    lines = [
        [
            row["axis"] or "balanced",
            f"{row['ratio']:g}",
            str(row["seed"]),
            *(shown(value, absent="broke down") for value in row["distance"]),
            *(shown(row[key]) for key in ("accuracy_real", "accuracy_generated")),
            *(shown(row[key]) for key in ("discriminator_loss", "generator_loss")),
        ]
        for row in rows
        if row["game"] == game
    ]
    note = (
        f"FD is `{settings['metric']}` (lower is better) after so many images of the balanced "
        "game, in all of which the generator has made the same number of steps. Accuracies (of "
        "the discriminator) and losses are means over the second half of the training."
    )
    return Table(f"The {game} game", heads, lines, note)


STUDY = Study(Path(__file__).parent, plan, analyse)
