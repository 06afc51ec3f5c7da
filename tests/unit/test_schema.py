"""Every key has a rule, every rule refuses something, and a refusal says what to write instead."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf

from genzoo.cli import literal
from genzoo.config.composition import compose
from genzoo.config.paths import config_dir, groups
from genzoo.config.schema import _leaves, _tree, check_together, check_values
from genzoo.config.schema.keys import KEYS, MODEL, rule_of
from genzoo.config.schema.rule import Refused
from genzoo.config.values import plain
from genzoo.core.errors import UsageError
from genzoo.models.glide import Glide

WITHIN = ("experiment",)  # checked below: each needs a model of its own


def within(group: str, option: str) -> Iterator[list[str]]:
    """A group within model/ at every place that a model's file gives it."""
    outer, _, inner = group.partition("/")
    for owner in groups()[outer]:
        content = (config_dir() / outer / f"{owner}.yaml").read_text()
        for place in re.findall(rf"- {inner}@([\w.]+):", content):
            own = place in (outer, f"{outer}.{inner}")
            word = literal([f"{group}={option}"])[0] if own else f"{group}@{place}={option}"
            yield [f"{outer}={owner}", word]


def commands() -> Iterator[list[str]]:
    for group, options in groups().items():
        if group in WITHIN:
            continue
        for option in options:
            if "/" in group:
                yield from within(group, option)
            else:
                yield [f"{group}={option}"]
    experiments = {"zoo_clip": "clip", "zoo_unclip": "unclip"}
    for option in groups()["experiment"]:
        yield [f"experiment={option}", f"model={experiments.get(option, 'glide')}"]


COMMANDS = list(commands())


# Sizes that come with a tokenizer of their own; to train one anew, it has to be as large.
LARGE = {
    f"model/size@model{place}={size}": ("text.context=128", "text.vocab_size=50257")
    for size in ("paper", "released", "released_upsample")
    for place in ("", ".decoder")
}


def unruled(cfg: DictConfig) -> list[str]:
    return [key for key, _ in _leaves(_tree(cfg)) if rule_of(key) is None]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_key_of_every_file_has_a_rule_and_keeps_it(command: list[str]) -> None:
    cfg = compose(*command, *LARGE.get(command[-1], ()))
    assert unruled(cfg) == []
    before = OmegaConf.to_yaml(cfg)
    check_values(cfg)
    check_together(cfg)
    assert OmegaConf.to_yaml(cfg) == before


def test_a_key_without_a_rule_is_seen() -> None:
    """The null model of the test above."""
    for added in ("+optimizer.lrr=1", "+model.unet.depth=1", "+data.source.rot=1"):
        key = added.lstrip("+").partition("=")[0]
        assert unruled(compose(added)) == [key]


def test_all_groups_are_walked() -> None:
    words = {word.partition("=")[0].partition("@")[0] for command in COMMANDS for word in command}
    assert words == {group for group, options in groups().items() if options}


@pytest.mark.parametrize("key", [*KEYS, *(f"model.{key}" for key in MODEL)])
def test_every_rule_refuses_something(key: str) -> None:
    rule = rule_of(key)
    assert rule is not None
    with pytest.raises(Refused):
        rule.read({"a": 1})
    with pytest.raises(Refused):
        rule.read(float("nan"))


WRONG = [
    ("seed=null", "seed=null is no number", "whole number from 0"),
    ("seed=1.5", "seed=1.5 is no whole number", "whole number"),
    ("seed='1'", "seed=1 is no number but text", "whole number"),
    ("seed=true", "seed=true is no number", "whole number"),
    ("seed=[1]", "seed=[1] is no number", "whole number"),
    ("seed={a:1}", "seed={a:1} is a section", "whole number"),
    ("optimizer=5", "optimizer=5 is no section", "optimizer.<key>="),
    ("model.text=5", "model.text=5 is no section", "model.text.<key>="),
    ("optimizer.lr=nan", "optimizer.lr=nan is not finite", "a number from 0"),
    ("optimizer.lr=inf", "optimizer.lr=inf is not finite", "a number from 0"),
    ("optimizer.lr=-1", "optimizer.lr=-1 is too small", "from 0"),
    ("optimizer.lr=fast", "optimizer.lr=fast is no number but text", "a number from 0"),
    ("optimizer.betas=[0.9]", "optimizer.betas=[0.9] has 1 entries", "list of 2"),
    ("optimizer.betas=[0.9,1]", "which is too large", "below 1"),
    ("optimizer.betas=0.9", "optimizer.betas=0.9 is no list", "list of 2"),
    ("optimizer.accumulate=0", "optimizer.accumulate=0 is too small", "above 0"),
    ("optimizer.accumulate=-1", "too small", "above 0"),
    ("optimizer.accumulate=1.5", "is no whole number", "above 0"),
    ("optimizer.batch_size=0", "optimizer.batch_size=0 is too small", "above 0"),
    ("budget.images=abc", "budget.images=abc is no number but text", "above 0 or null"),
    ("budget.minutes=-1", "too small", "above 0"),
    ("trainer.log_images=0", "trainer.log_images=0 is too small", "above 0"),
    ("trainer.compile=yes", "neither true nor false", "write true or false"),
    ("trainer.compile=1", "neither true nor false", "write true or false"),
    ("trainer.gpus=-1", "too small", "or auto"),
    ("data.image_size=2.5", "data.image_size=2.5 is no whole number", "above 0"),
    ("data.validation=1", "too large", "below 1"),
    ("data.templates=[]", "too short", "list of 1 or more"),
    ("data.templates=[a]", "has a, which cannot be read", "{}"),
    ("guidance.scale=null", "guidance.scale=null is no number", "a number"),
    ("guidance.scale=nan", "not finite", "a number"),
    ("guidance.interval=[0.8,0.2]", "goes down", "list of 2"),
    ("sampler.eta=nan", "not finite", "from 0 to 1"),
    ("sampler.steps=0", "sampler.steps=0 is too small", "from 2"),
    ("sampler.steps=1", "sampler.steps=1 is too small", "from 2"),
    ("sampler.steps=many", "sampler.steps=many", "fast27"),
    ("metrics.seed=-1", "metrics.seed=-1 is too small", "from 0"),
    ("metrics.batch=0", "metrics.batch=0 is too small", "above 0"),
    ("metrics.extractors=[incption]", "none of the choices", "inception"),
    ("output=''", "output= is empty", "a path"),
    ("model.drop=1.5", "model.drop=1.5 is too large", "to 1"),
    ("model.unet.width=0", "too small", "above 0"),
    ("model.unet.multiples=[]", "too short", "list of 1"),
    ("model.unet.attention=[3]", "no level has", "power of two"),
    ("model.text.heads=0", "too small", "above 0"),
    ("+model.unet.dropout=-1", "too small", "from 0"),
    ("model.process.steps=1", "model.process.steps=1 is too small", "from 2"),
    ("model.process=null", "model.process=null is no section", "model.process.<key>="),
]


@pytest.mark.parametrize(("typed", "problem", "remedy"), WRONG, ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_said_with_a_remedy(typed: str, problem: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_values(compose(typed))
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("steps", [1.5, 0, 0.3, -1])
def test_turns_are_whole_numbers_or_their_reciprocals(steps: float) -> None:
    rule = rule_of("optimizer.discriminator.steps")
    assert rule is not None
    with pytest.raises(Refused, match="cannot be played in turns"):
        rule.read(steps)
    for good in (1, 4, 0.25, 1 / 3):
        assert rule.read(good) == good


def test_values_are_what_they_are() -> None:
    cfg = compose("budget.images=1e6", "optimizer.lr=1e-3", "model.unet.multiples=[1.0,2]")
    check_values(cfg)
    assert (cfg.budget.images, cfg.optimizer.lr) == (1_000_000, 0.001)
    assert isinstance(cfg.budget.images, int)
    assert list(map(type, cfg.model.unet.multiples)) == [int, int]
    cfg = compose("task=sample", "prompt=2024", "columns=3.0")
    check_values(cfg)
    assert (cfg.prompt, cfg.columns) == ("2024", 3)
    assert isinstance(cfg.columns, int)


def test_all_that_is_wrong_is_said_at_once_and_once() -> None:
    with pytest.raises(UsageError) as caught:
        check_values(compose("data.image_size=2.5", "seed=null", "metrics.batch=0"))
    line = str(caught.value)
    assert [line.count(key) for key in ("image_size=", "seed=null", "metrics.batch=0")] == [1] * 3


TOGETHER = [
    (["metrics.images=4"], "metrics.images=4 are too few for metrics.splits=10", "images=10"),
    (["metrics.splits=20", "metrics.images=12"], "metrics.splits=20", "images=20"),
    (["metrics.images=10", "metrics.neighbours=10"], "metrics.neighbours=10", "images=11"),
    (["metrics.real_images=5"], "metrics.density_neighbours=5", "real_images=6"),
    (["sampler.steps=1001"], "sampler.steps=1001 are more", "sampler.steps=1000"),
    (["model=unclip", "model.prior.steps=1001"], "model.prior.steps=1001", "1000"),
    (
        ["model=diffusion", "model.process.steps=30", "model.process.learned_variance=true"],
        "model.likelihood_steps=50",
        "30",
    ),
    (["model.text.heads=3"], "cannot be divided into model.text.heads=3", "such as 129"),
    (["model=flow", "model/arch=tarflow", "model.arch.heads=5"], "arch.heads=5", "5"),
    (["model=clip", "model.image.heads=7"], "model.image.heads=7", "such as 126"),
    (["model.text.context=8"], "model.text.context=8 is not text.context=32", "text.context=8"),
    (["model.text.vocab_size=300"], "below text.vocab_size=2048", "text.vocab_size=300"),
    (["model.text.vocab_size=9"], "below text.vocab_size=2048", "leave model.text.vocab_size"),
    (["model/size@model=released"], "model.text.context=128 is not", "text.context=128"),
    (["model=flow", "model.arch.features=3"], "is not model.text.width=64", "leave"),
    (["+model.text.padding=false"], "guidance has nothing to compare", "model.drop=0"),
    (["model.unet.groups=7"], "groups=7", "such as 49"),
    (["model.unet.head_channels=36"], "head_channels=36", "such as 36"),
    (["model.unet.blocks=[1,1,1]"], "blocks has 3 entries", "one a level"),
    (["budget.images=null"], "no end to the training", "budget.minutes="),
    (["optimizer.accumulate=4", "budget.images=96"], "before the first step", "images=128"),
]


def test_what_is_enlarged_is_smaller() -> None:
    typed = ("model=glide", "model.stage=upsample", "data.image_size=32")
    Glide.check_settings(plain(compose(*typed))["model"])
    with pytest.raises(UsageError, match=r"model\.low_size=32 is not below data\.image_size=32"):
        Glide.check_settings(plain(compose(*typed, "model.low_size=32"))["model"])


@pytest.mark.parametrize(("typed", "problem", "remedy"), TOGETHER, ids=[t[1] for t in TOGETHER])
def test_what_does_not_go_together_is_refused(typed: list[str], problem: str, remedy: str) -> None:
    cfg = compose(*typed)
    check_values(cfg)
    with pytest.raises(UsageError) as caught:
        check_together(cfg)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "typed",
    [
        ["metrics.images=10"],
        ["metrics.images=4", "metrics.extractors=[]"],
        ["task=sample", "metrics.images=4"],
        ["sampler.steps=1000"],
        ["model=diffusion", "model.process.steps=30"],  # no bound is measured
        ["model.text=null", "model=diffusion"],
        ["+model.text.padding=false", "model.drop=0", "guidance=none"],
        ["checkpoint=x", "model/size@model=released"],
        ["optimizer.accumulate=4", "budget.images=97"],
        ["task=evaluate", "budget.images=null"],
    ],
    ids=" ".join,
)
def test_what_goes_together_is_let_through(typed: list[str]) -> None:
    cfg = compose(*typed)
    check_values(cfg)
    check_together(cfg)


def test_the_check_takes_no_torch() -> None:
    code = (
        "import sys, time; from genzoo.config.composition import compose; "
        "from genzoo.config.schema import check_values, check_together; cfg = compose(); "
        "began = time.perf_counter(); check_values(cfg); check_together(cfg); "
        "print(time.perf_counter() - began < 1, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("target", "fits"), [("mypkg.Model", True), ("genzoo.models.vae.VAE", False)]
)
def test_keys_of_somebodys_own_model_mean_what_it_says(target: str, fits: bool) -> None:
    cfg = compose("model=vae", f"model._target_={target}", "+model.loss=mse", "model.widths=wide")
    if fits:
        check_values(cfg)
        check_together(cfg)
    else:
        with pytest.raises(UsageError, match=r"model\.loss=mse"):
            check_values(cfg)
