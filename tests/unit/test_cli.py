from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from genzoo.cli import CAPTIONS, help_text, literal
from genzoo.config import groups

PROMPTS = [
    "a red heart",
    "a cat, a dog",
    "it's {odd}: [a](b)=c",
    'say "hello", he said',
    "ends in a backslash \\",
    "a \\' b",
    "a=b, c=d",
    "日本, ∑",
]


@pytest.mark.parametrize("key", CAPTIONS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_arrives_as_it_was_typed(prompt: str, key: str) -> None:
    (argument,) = literal([f"{key}={prompt}"])
    parsed = OverridesParser.create().parse_override(argument)
    assert parsed.value() == prompt
    assert not parsed.is_sweep_override()


def test_quoted_prompts_lists_and_sweeps_keep_hydras_rules() -> None:
    for kept in (["prompt='a, b'"], ["runs=[a,b]"], ["prompt=null"], ["seed=0,1"], ["runs=a"]):
        assert literal(kept) == kept
    assert literal(["-m", "prompt=a,b"]) == ["-m", "prompt=a,b"]
    assert literal(["runs=a,b"]) == ["runs=[a,b]"]


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
