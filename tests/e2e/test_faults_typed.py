"""What a person types wrongly ends in one line, before anything is loaded, trained or lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.shell import Result

Shell = Callable[..., Result]

VALUES = [
    ("seed=null", "seed=null is no number"),
    ("seed=1.5", "seed=1.5 is no whole number"),
    ("budget.images=abc", "budget.images=abc is no number but text"),
    ("optimizer.lr=nan", "optimizer.lr=nan is not finite"),
    ("trainer.log_images=0", "trainer.log_images=0 is too small"),
    ("data.image_size=2.5", "data.image_size=2.5 is no whole number"),
    ("guidance.scale=null", "guidance.scale=null is no number"),
    ("guidance.scale=nan", "guidance.scale=nan is not finite"),
    ("sampler.eta=nan", "sampler.eta=nan is not finite"),
    ("sampler.steps=0", "sampler.steps=0 is too small"),
    ("sampler.steps=1001", "sampler.steps=1001 are more"),
    ("sampler.steps=ddim999", "no whole-numbered stride"),
    ("metrics.images=4", "metrics.images=4 are too few for metrics.splits=10"),
    ("metrics.seed=-1", "metrics.seed=-1 is too small"),
    ("metrics.batch=0", "metrics.batch=0 is too small"),
    ("metrics.splits=2000", "metrics.splits=2000"),
    ("optimizer.accumulate=-1", "optimizer.accumulate=-1 is too small"),
    ("optimizer.accumulate=1.5", "optimizer.accumulate=1.5 is no whole number"),
    ("model.text.heads=3", "model.text.heads=3"),
    ("text.vocab_size=12", "text.vocab_size=12 is too small"),
    ("text.context=0", "text.context=0 is too small"),
]


def one_line(result: Result, *words: str, status: int = 2) -> None:
    lines = result.err.splitlines()
    assert len(lines) == 1, result
    assert lines[0].startswith("genzoo: ")
    for word in words:
        assert word in lines[0]
    assert result.status == status


@pytest.mark.parametrize(("typed", "line"), VALUES, ids=[typed for typed, _ in VALUES])
def test_a_value_that_cannot_be_is_refused(shell: Shell, typed: str, line: str) -> None:
    one_line(shell("logger=none", typed), line)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("count=2.5", "count=2.5 is no whole number"),
        ("columns=-1", "columns=-1 is too small"),
        ("batch=0", "batch=0 is too small"),
        ("sampler.steps=1001", "sampler.steps=1001 are more"),
        ("guidance.scale=nan", "guidance.scale=nan is not finite"),
        ("seed=1.5", "seed=1.5 is no whole number"),
        ("label=x", "label=x is no number but text"),
    ],
)
def test_so_is_one_for_a_trained_model(shell: Shell, typed: str, line: str) -> None:
    one_line(shell("task=sample", "checkpoint=zoo/glide_16", "prompt=x", typed), line)
