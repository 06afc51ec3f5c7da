"""The findings of a study, and their files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from genzoo.report.text import ABSENT

NO_SCALE = "**This scale shows that everything runs. Its numbers and its verdict mean nothing.**"

Answer = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on the claim, by the rule in the study's README.

    Attributes:
        answer: one of three.
        because: the numbers behind it, in sentences.
    """

    answer: Answer
    because: str

    def __str__(self) -> str:
        """One paragraph."""
        return f"**{self.answer.capitalize()}.** {self.because}"


@dataclass(frozen=True)
class Table:
    """Rows under heads, with a title.

    Attributes:
        title: a heading.
        heads: of the columns.
        rows: words.
        note: beneath it.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def __str__(self) -> str:
        """As Markdown."""
        lines = [self.heads, ["---"] * len(self.heads), *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(part for part in (f"## {self.title}", body, self.note) if part)


@dataclass(frozen=True)
class Findings:
    """The outcome of a study.

    Attributes:
        verdict: on its claim.
        tables: for people.
        numbers: the same and more, for programs.
        figures: file names, and the function that writes each to a path.
    """

    verdict: Verdict
    tables: Sequence[Table]
    numbers: Mapping[str, Any]
    figures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def write(findings: Findings, folder: Path, *, about: Mapping[str, Any]) -> None:
    """Write table.md, results.json and the figures.

    Args:
        findings: of the study.
        folder: of its results at one scale.
        about: the stamp: claim, command, machine, software, runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in findings.figures.items():
        plot(folder / name)
    results = {
        "verdict": {"answer": findings.verdict.answer, "because": findings.verdict.because},
        **about,
        "numbers": findings.numbers,
    }
    content = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(content, encoding="utf-8")
    (folder / "table.md").write_text(_page(findings, about), encoding="utf-8")


def _page(findings: Findings, about: Mapping[str, Any]) -> str:
    machine, software = about["machine"], about["software"]
    where = f"{machine['processor']}, {machine['cores']} cores"
    if machine["gpu"]:
        where = f"{machine['gpu']}; {where}"
    made = (
        f"Made by `{about['command']}` on {about['date']}: {where}; genzoo {software['version']} "
        f"at {', '.join(about['revisions'])}; torch {software['torch']}; data "
        f"{', '.join(about['data_fingerprints'])}. Every number's stamp is in `results.json`."
    )
    parts = [
        f"# {about['study']}, scale {about['scale']}",
        f"Claim: {about['claim']}",
        NO_SCALE if about["scale"] == "smoke" else "",
        str(findings.verdict),
        *(f"![{name}]({name})" for name in findings.figures),
        *map(str, findings.tables),
        made,
    ]
    if len(about["revisions"]) > 1 or len(about["data_fingerprints"]) > 1:
        parts.append("**The runs differ in revision or data; `--fresh` repeats them all.**")
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(value: float | None, *, absent: str = ABSENT) -> str:
    """A number in four digits."""
    return absent if value is None else f"{value:.4g}"


def over_seeds(values: Sequence[float], word: Callable[[float], str] = shown) -> str:
    """The mean, and behind it in brackets the values where there are several."""
    each = f" ({', '.join(map(word, values))})" if len(values) > 1 else ""
    return f"{word(statistics.fmean(values))}{each}"
