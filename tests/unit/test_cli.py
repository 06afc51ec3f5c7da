from __future__ import annotations

from pathlib import Path

import pytest

from genzoo.cli import help_text, literal
from genzoo.config.paths import groups
from genzoo.config.typed import own_folders


def test_keys_of_a_checkpoint_are_left_to_it() -> None:
    typed = ["checkpoint=last", "model.temperature=1", "trainer.gpus=0", "data=shapes", "data.x=1"]
    assert literal(typed) == [typed[0], "++model.temperature=1", *typed[2:]]
    assert literal(["model.latent=8"]) == ["model.latent=8"]
    assert literal(["checkpoint=null", "model.latent=8"]) == ["checkpoint=null", "model.latent=8"]


def test_help_names_every_option_of_every_group() -> None:
    lines = [line.split(maxsplit=1) for line in help_text().splitlines()]
    for group, options in groups().items():
        if options:
            assert [group, " | ".join(options)] in lines


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("[file:///a/b,file:///c]", ["/a/b", "/c"]),
        ("['file:///a,b', \"file:///c,d\"]", ["/a,b", "/c,d"]),
        ("['file:///a, b',file:///c]", ["/a, b", "/c"]),
        ("[]", []),
    ],
)
def test_folders_of_the_search_path_may_have_commas(typed: str, found: list[str]) -> None:
    folders = own_folders([f"hydra.searchpath={typed}", "seed=1"])
    assert folders == [Path(name) for name in found]
