"""Whatever a person types for a caption or a path arrives as it was typed."""

from __future__ import annotations

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from genzoo.config.composition import compose
from genzoo.config.typed import (
    CAPTIONS,
    MADE_BY_HYDRA,
    MISSING,
    PATHS,
    as_typed,
    is_sweep,
    to_type,
)
from genzoo.core.errors import UsageError

TEXTS = [
    "",
    " a red heart ",
    "a cat, a dog",
    "aüb",
    "a=b",
    "x(1)",
    "[a]",
    "{a: 1}",
    "~/x",
    "2024",
    "1e3",
    "true",
    "NULL",
    "'tis",
    '"hello" he said',
    "'quoted'",
    '"quoted"',
    "${x}",
    "${",
    "\\${x}",
    "${oc.env:HOME}\\",
    "ends in a backslash \\",
    "a \\' b",
    "C:\\new\\'x'\\",
    "日本, ∑ 👩‍🚀",
    "two\nlines\t",
    "a #b",
    "@x:y",
    "range(1,3)",
]


def arrived(key: str, text: str) -> object:
    """What the configuration holds, by Hydra's parser and OmegaConf's resolution."""
    override = OverridesParser.create().parse_override(as_typed(f"{key}={text}"))
    assert not override.is_sweep_override()
    return OmegaConf.create({"value": override.value()}).value


@given(
    st.sampled_from(CAPTIONS + PATHS).map(lambda key: key.replace("*", "inception")),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
@settings(max_examples=300, deadline=None)
def test_any_text_arrives(key: str, text: str) -> None:
    if text in ("null", MISSING) or (key in MADE_BY_HYDRA and text[:1] in ("~", "")):
        return
    assert arrived(key, text) == text
    assert to_type(as_typed(f"{key}={text}")) == f"{key}={text}"


@pytest.mark.parametrize("key", [*CAPTIONS, *PATHS, "runs", "seed"])
def test_what_stands_for_a_missing_value_is_refused(key: str) -> None:
    """OmegaConf's own word; it is one by itself only, and text as part of a text."""
    with pytest.raises(UsageError, match=f"^{re.escape(key)}="):
        as_typed(f"{key}={MISSING}")
    assert arrived("prompt", f"{MISSING} or {MISSING}") == f"{MISSING} or {MISSING}"


@given(st.text("\\'\"${}:.,[]()=~ x"))
@example("${")
@settings(max_examples=500, deadline=None)
def test_what_means_something_to_a_parser_arrives(text: str) -> None:
    assert arrived("prompt", text) == text


@pytest.mark.parametrize("text", TEXTS)
def test_through_hydra(text: str) -> None:
    """All the way, with a key of a group's file and one of the root's."""
    cfg = compose(
        "task=sample", as_typed(f"prompt={text}"), as_typed(f"data.root={text}"),
        as_typed(f"metrics.weights.inception={text}"),
    )  # fmt: skip
    assert (cfg.prompt, cfg.data.root, cfg.metrics.weights.inception) == (text, text, text)


def test_nothing_numbers_and_lists_keep_their_meaning() -> None:
    for kept in ("prompt=null", "seed=0", "optimizer.lr=1e-3", "runs=[a,b]", "~prompt", "-m"):
        assert as_typed(kept) == kept
    cfg = compose("task=compare", as_typed("runs=a b,2024,c=d"))
    assert list(cfg.runs) == ["a b", "2024", "c=d"]
    assert to_type(as_typed("runs=a b,c")) == "runs=a b,c"
    assert arrived("++prompt", "1, 2") == "1, 2"


def test_hydra_makes_no_folder_called_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    assert arrived("hydra.run.dir", "~/runs") == "/home/x/runs"
    assert arrived("data.root", "~/runs") == "~/runs"  # its reader knows it


def test_sweeps_are_told(tmp_path: object) -> None:
    from genzoo.config.paths import config_dir

    experiments = config_dir() / "experiment"
    for arguments in (["-m"], ["a=1", "--multirun"], ["experiment=demo"], ["+experiment=demo"]):
        assert is_sweep(arguments, experiments=experiments)
    for arguments in ([], ["prompt=-m"], ["experiment=zoo"], ["experiment=nowhere"]):
        assert not is_sweep(arguments, experiments=experiments)
