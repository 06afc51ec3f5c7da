"""What was compared, in a headline, a sentence and a few facts, read from all runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genzoo.report.comparison import Comparison, Entry
from genzoo.report.runs import Json, RunRecord
from genzoo.report.text import alternatives, joined


def headline(comparison: Comparison) -> str:
    """The page's title: the models where they are few, otherwise their number."""
    labels = [entry.label for entry in comparison.entries]
    if not labels:
        return "No run has results"
    if len(labels) == 1:
        return labels[0]
    if len(labels) <= 3 and sum(map(len, labels)) <= 60:
        return joined(labels)
    return f"{len(labels)} image generators"


def one_sentence(comparison: Comparison) -> str:
    """What was compared, and on what terms."""
    if not comparison.entries:
        return "None of these runs finished, so there is nothing to compare."
    trained = [entry for entry in comparison.entries if not entry.first.of_images]
    given = [entry.label for entry in comparison.entries if entry.first.of_images]
    beside = f"Images of other programs: {joined(given)}." if given else ""
    return " ".join(filter(None, [_trained(trained) if trained else "", beside]))


def _trained(entries: Sequence[Entry]) -> str:
    runs = [run for entry in entries for run in entry.runs]
    text = f"{_who(entries)}, {'trained' if len(runs) == 1 else 'each trained'} on "
    text += _data(runs) or "the same images"
    size, budget = _size(runs), _budget_text(runs)
    text += f" at {size}" if size else ""
    if budget:
        text += " for unequal budgets" if "; " in budget else f" for {budget}"
    if len(entries) > 1:
        text += ", then sampled from the same captions with the same seeds"
    return f"{text}."


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Name and value of what all numbers share: data, size, budget, seeds, device, measurement."""
    runs = comparison.runs
    pairs = [
        ("Data", _data(runs)),
        ("Image size", _size(runs)),
        ("Budget", _budget_text(runs)),
        ("Seeds", _seeds(comparison)),
        ("Device", alternatives(run.get("provenance", "device") for run in runs)),
        ("Measured on", _measured(runs)),
    ]
    return [(name, value) for name, value in pairs if value]


def _who(entries: Sequence[Entry]) -> str:
    """The models, and in how many configurations where a name alone does not tell them apart."""
    models = list(dict.fromkeys(entry.first.model for entry in entries))
    count = len(entries)
    return joined(models) + (f" in {count} configurations" if count > len(models) else "")


def _section(run: RunRecord, name: str) -> Json:
    section = run.config.get(name)
    return section if isinstance(section, dict) else {}


def _stamps(runs: list[RunRecord]) -> list[Json]:
    return [metric["stamp"] for run in runs for metric in run.metrics.values()]


def _data(runs: list[RunRecord]) -> str:
    return alternatives(_section(run, "data").get("name") for run in runs) or alternatives(
        stamp.get("data") for stamp in _stamps(runs)
    )


def _size(runs: list[RunRecord]) -> str:
    sizes = alternatives(_section(run, "data").get("image_size") for run in runs) or alternatives(
        stamp.get("image_size") for stamp in _stamps(runs)
    )
    return f"{sizes} px" if sizes else ""


def _budget_text(runs: list[RunRecord]) -> str:
    budgets = (_budget(_section(run, "budget")) for run in runs)
    return "; ".join(dict.fromkeys(filter(None, budgets)))


def _budget(budget: Json) -> str | None:
    ends = []
    if isinstance(budget.get("images"), int):
        ends.append(f"{budget['images']:,} images")
    if isinstance(budget.get("minutes"), int | float):
        ends.append(f"{budget['minutes']:g} min")
    return " or ".join(ends) + (", whichever came first" if len(ends) > 1 else "") or None


def _seeds(comparison: Comparison) -> str:
    seeds = comparison.seeds
    each = {tuple(run.seed for run in entry.runs) for entry in comparison.entries}
    text = ", ".join(map(str, seeds))
    return text if len(each) == 1 else f"{text} (not every model has all)"


def _measured(runs: list[RunRecord]) -> str:
    def numbers(key: str) -> str:
        values: list[Any] = [stamp.get(key) for stamp in _stamps(runs)]
        return alternatives(f"{v:,}" for v in values if isinstance(v, int))

    generated, real = numbers("generated_images"), numbers("real_images")
    split = alternatives(stamp.get("real_split") for stamp in _stamps(runs))
    return (
        f"{generated} samples against {real} images of the {split} split"
        if generated and real
        else ""
    )
