"""table.md: one section for each set of conditions, ranked within a family."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bench.peers.contestants import CONTESTANTS
from genzoo.metrics.difference import Measured, decide, pairwise
from genzoo.metrics.stamp import comparable

METRICS = {
    "frechet_distance/efficientnet_lite0": "Fréchet distance ↓",
    "kernel_distance/efficientnet_lite0": "KID ↓",
    "bits_per_dim": "bits/dim ↓",
}
COSTS = ("parameters", "images seen", "images/s", "samples/s", "revision")
FAMILIES = {"gan": "GANs", "flow": "Flows", "diffusion": "Diffusion"}
Contestants = Mapping[str, Mapping[str, Any]]


def markdown(groups: Iterable[Mapping[str, Any]]) -> str:
    sections = [_section(group) for group in reversed(list(groups))]
    note = (
        "Written by `make bench-peers`. Conditions that differ are separate sections and are not "
        "to be ranked with one another. [ ] is the 95 % interval over samples, or held-out "
        "images, of one training; bold is what is separated from every other of its table "
        "(tests at 5 %, corrected for all pairs), ≈ the best number and what is not "
        "separated from it. What is compared are these trainings, never the methods."
    )
    return "\n\n".join(["# Equal minutes, side by side", note, *sections]) + "\n"


def _section(group: Mapping[str, Any]) -> str:
    c = group["conditions"]
    head = f"## {c['minutes']:g} minutes, {c['threads']} threads, seed {c['seed']}"
    facts = (
        f"{c['data']} at {c['image_size']} px; {c['samples']:,} samples against "
        f"{c['real_images']:,} training images; {c['held_out_images']:,} held-out images; "
        f"{c['processor']}, {c['cores']} cores; torch {c['torch']}; "
        + ", ".join(f"{key}={value}" for key, value in sorted(c["openmp"].items()))
    )
    parts = [head, facts]
    for family, title in FAMILIES.items():
        rows = {n: r for n, r in group["contestants"].items() if CONTESTANTS[n].family == family}
        if rows:
            parts += [f"### {title}", _table(rows), *_verdicts(rows), _notes(rows)]
    return "\n\n".join(parts)


def _table(rows: Contestants) -> str:
    shown = {
        metric: title
        for metric, title in METRICS.items()
        if any(metric in row.get("metrics", {}) for row in rows.values())
    }
    lines = [["", *shown.values(), *COSTS], ["---", *["---:"] * (len(shown) + len(COSTS))]]
    for name, row in rows.items():
        label = CONTESTANTS[name].label
        if "error" in row:
            lines.append([label, f"failed: {row['error']}", *[""] * (len(lines[0]) - 2)])
            continue
        cells = [_cell(rows, name, metric) for metric in shown]
        speed = row["images_seen"] / max(row["training_seconds"], 1e-9)
        costs = (f"{row['parameters']:,}", f"{row['images_seen']:,}", f"{speed:,.0f}")
        lines.append([label, *cells, *costs, f"{row['samples_per_second']:,.0f}", str(row["git"])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(rows: Contestants, name: str, metric: str) -> str:
    entry = rows[name]["metrics"].get(metric)
    if entry is None:
        return "n/a"
    text = f"{entry['value']:.4g}"
    if entry.get("interval"):
        text += " [{:.4g}, {:.4g}]".format(*entry["interval"])
    elif entry["spread"] is not None:
        text += f" (± {entry['spread']:.2g} over subsets)"
    standing = decide(_row(rows, metric), better="lower").standings.get(name)
    return {"best": f"**{text}**", "not separated": f"≈ {text}"}.get(standing or "", text)


def _row(rows: Contestants, metric: str) -> dict[str, Measured]:
    """The numbers that may be ranked; none where one of them may not. Each was trained once."""
    entries = {
        name: row["metrics"][metric]
        for name, row in rows.items()
        if metric in row.get("metrics", {}) and math.isfinite(row["metrics"][metric]["value"])
    }
    stamps = [entry["stamp"] for entry in entries.values()]
    if any(comparable(stamps[0], stamp) for stamp in stamps[1:]):
        return {}
    return {
        name: Measured({name: entry["value"]}, entry.get("standard_error"))
        for name, entry in entries.items()
    }


def _verdicts(rows: Contestants) -> list[str]:
    """Ours against each peer, in words."""
    done = {name: row for name, row in rows.items() if "error" not in row}
    lines = [
        f"- {CONTESTANTS[ours].label} against {CONTESTANTS[peer].label}: "
        + "; ".join(_verdict(done, ours, peer, metric) for metric in METRICS
                    if all(metric in done[name]["metrics"] for name in (ours, peer)))
        for ours in done if CONTESTANTS[ours].ours
        for peer in done if not CONTESTANTS[peer].ours
    ]  # fmt: skip
    return ["\n".join(lines)] if lines else []


def _verdict(rows: Contestants, ours: str, peer: str, metric: str) -> str:
    a, b = (rows[name]["metrics"][metric] for name in (ours, peer))
    title = METRICS[metric].removesuffix(" ↓")
    differing = comparable(a["stamp"], b["stamp"])
    if differing:
        return f"{title} not ranked ({', '.join(differing)} differ)"
    if not all(math.isfinite(entry["value"]) for entry in (a, b)):
        return f"{title} not ranked (a value is not finite)"
    row = _row(rows, metric) or _row({name: rows[name] for name in (ours, peer)}, metric)
    test = next(t for pair, t in pairwise(row).items() if {*pair} == {ours, peer})
    gap = b["value"] - a["value"]
    words = f"{title} {'ahead' if gap > 0 else 'behind'} by {abs(gap):.3g}"
    if test.separated:
        return words
    return f"{words}, not separated ({test.reason or f'p {test.p:.2g}'})"


def _notes(rows: Contestants) -> str:
    return "\n".join(_note(name, row) for name, row in rows.items() if "error" not in row)


def _note(name: str, row: Mapping[str, Any]) -> str:
    notes = [f"trained {row['training_seconds']:.1f} s in batches of {row['batch']}"]
    if row["dequantisation"]:
        notes.append(f"{row['dequantisation']} dequantisation")
    if row["drawn"]:
        notes.append(f"sampled with {row['drawn']}")
    others = [f"{k} {v:.4g}" for k, v in row["variants"].items() if k != row["drawn"]]
    if others:
        notes.append(f"Fréchet distance otherwise: {', '.join(others)}")
    versions = ", ".join(f"{key} {value}" for key, value in row["versions"].items())
    return f"- {CONTESTANTS[name].label}: {'; '.join(notes)}. {row['date']}; {versions}."
