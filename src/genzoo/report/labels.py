"""Grouping runs that differ in the seed alone, with labels of the differing settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genzoo.report.runs import RunRecord

SEPARATOR = " · "  # between the parts of a label

MOST = 4  # differences that a label names

# Keys that do not distinguish experiments: the seed, paths, logging. Any other difference makes
# separate entries. Data count by their
# content: copies of a folder are one experiment, two folders of other images are two.
INCIDENTAL = (
    *("seed", "run", "task", "runs", "checkpoint", "output", "debug", "logger", "cpu", "hydra"),
    "overwrite",
    *(
        "experiment",
        "prompt",
        "count",
        "images",
        "captions",
        "real",
        "data.root",
        "data.cache",
        "data.workers",
    ),
    *("trainer.log_images", "trainer.monitor_images", "trainer.validation_images"),
    *("trainer.checkpoint_minutes", "metrics.batch", "metrics.weights", "metrics.keep_samples"),
    *("metrics.during", "metrics.during_images"),
)


def group_runs(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs that differ in nothing but the seed, by a label that says what sets them apart.

    ``vae`` where a model was run in one way, ``vae · guidance.scale=3`` where that differs
    between runs of the model. A seed counts once for each training: where runs repeat one, as two
    sweeps of the same command do, the label names the folder as well.
    """
    groups: dict[str, list[RunRecord]] = {}
    settings = {id(run): settings_of(run) for run in runs}
    for run in runs:
        same = [settings[id(other)] for other in runs if other.model == run.model]
        label = SEPARATOR.join([run.model, *_differences(settings[id(run)], same)])
        groups.setdefault(label, []).append(run)
    groups = {name: part for label, runs in groups.items() for name, part in _by_data(label, runs)}
    short = _shortened(list(groups))
    apart = [part for label, members in groups.items() for part in _apart(short[label], members)]
    return {label: sorted(members, key=lambda run: run.seed) for label, members in apart}


def _by_data(label: str, members: list[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """The group itself, or its parts where the content of their data differs.

    They are called by `data.root` where that tells them apart, otherwise by their fingerprints.
    """
    parts: dict[str | None, list[RunRecord]] = {}
    for run in members:
        parts.setdefault(run.fingerprint, []).append(run)
    if len(parts) == 1:
        return [(label, members)]
    roots = [{_root(run) for run in part} for part in parts.values()]
    named = all(len(each) == 1 for each in roots) and len(set.union(*roots)) == len(parts)
    return [
        (f"{label}{SEPARATOR}{_root(part[0]) if named else _print(fingerprint)}", part)
        for fingerprint, part in parts.items()
    ]


def _root(run: RunRecord) -> str:
    return f"data.root={flatten(run.config).get('data.root', 'null')}"


def _print(fingerprint: str | None) -> str:
    return f"data {fingerprint[:8] if fingerprint else 'without a fingerprint'}"


def settings_of(run: RunRecord) -> dict[str, str]:
    """What distinguishes an experiment, by dotted names: no seed, no paths."""
    flat = flatten(run.config)
    return {k: v for k, v in flat.items() if not any(_within(k, part) for part in INCIDENTAL)}


def _within(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The leaves of a configuration by their dotted names, as words."""
    values: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            values |= flatten(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = _word(value)
    return values


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")


def _differences(values: Mapping[str, str], same: Sequence[Mapping[str, str]]) -> list[str]:
    """`key=value` for what differs within runs of one model, each difference once.

    One knob often appears at several places of a resolved configuration (`data.image_size` and
    `model.image_size`): the copy under `model` goes, and a `_target_` follows from its name.
    """
    keys = [key for key in values if any(other.get(key) != values[key] for other in same)]
    keys.sort(key=lambda key: (key.startswith("model."), key.count("."), key))
    kept: dict[tuple[str, ...], str] = {}
    for key in keys:
        leaf = key.rpartition(".")[2]
        column = tuple(other.get(key, "") for other in same)
        if leaf == "_target_" and key.replace("_target_", "name") in keys:
            continue
        kept.setdefault((leaf, *column), key)
    return [f"{key.removesuffix('.name')}={values[key]}" for key in sorted(kept.values())]


def _shortened(labels: Sequence[str]) -> dict[str, str]:
    """Labels of runs from different versions can be endless; cut where they stay different."""
    short = {}
    for label in labels:
        parts = label.split(SEPARATOR)
        more = len(parts) - 1 - MOST
        cut = [*parts[: MOST + 1], f"and {more} more"] if more > 1 else parts
        short[label] = SEPARATOR.join(cut)
    return short if len(set(short.values())) == len(labels) else {name: name for name in labels}


def _apart(label: str, members: list[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """The group itself, or its parts by folder where a seed appears twice in it."""
    if _once(members):
        return [(label, members)]
    names: list[Callable[[RunRecord], str]] = [
        lambda run: run.folder.resolve().parent.name,
        lambda run: run.folder.resolve().name,
        lambda run: str(run.folder),
    ]
    for name in names:
        parts: dict[str, list[RunRecord]] = {}
        for run in members:
            parts.setdefault(f"{label}{SEPARATOR}{name(run)}", []).append(run)
        if all(_once(part) for part in parts.values()):
            break
    return list(parts.items())


def _once(members: Sequence[RunRecord]) -> bool:
    return len({(run.training_seed, run.seed) for run in members}) == len(members)
