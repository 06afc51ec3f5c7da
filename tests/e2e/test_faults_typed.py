"""What a person types wrongly ends in one line, before anything is loaded, trained or lost."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.shell import Result

Shell = Callable[..., Result]

SAMPLE = ("task=sample", "checkpoint=zoo/glide_16", "prompt=x")

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


KEYS = [
    (["+modle.x=1"], "there is no key modle.x", "did you mean model?"),
    (["+optimizer.lrr=1"], "there is no key optimizer.lrr", "did you mean optimizer.lr?"),
    (["++optimizer.lrr=1"], "there is no key optimizer.lrr", "did you mean optimizer.lr?"),
    (["model=vae", "+optimizer.discriminator.lr=1"], "no key optimizer.discriminator.lr", "lr?"),
    ([*SAMPLE, "+trainer.foo=1"], "there is no key trainer.foo", "did you mean trainer."),
    ([*SAMPLE, "+model.foo=1"], "the checkpoint's model has no key model.foo", "did you mean"),
    (["+seed=1"], "there is a key seed already", "leave the + away"),
    (["+experiment=zoo"], "experiment= has a value already", "leave the + away"),
    (["~optimizer.lr"], "~optimizer.lr takes away what a run reads", "optimizer.lr="),
    (["~nothing"], "there is no key nothing", "leave it away"),
    (["model=gan", "model.widths=[8,16]"], "is a key of model=autoencoder, model=vae", "latent"),
    (["prompt=x"], "prompt is a key of task=inpaint, task=interpolate, task=sample", "choose one"),
    (["model.latnt=1", "model=vae"], "there is no key model.latnt", "did you mean model.latent?"),
    (["optimizr.lr=1"], "there is no key optimizr.lr", "did you mean optimizer.lr?"),
    (["=5"], "=5 has no key", "write key=value"),
    (["model="], "there is no model=", "there are: autoencoder"),
    (["strategy=deepspeed"], "there is no strategy=deepspeed", "there are: auto, ddp, fsdp"),
    (["hydra.run.dir="], "hydra.run.dir= is empty", "name a folder"),
    (["hydra.run.dir=null"], "hydra.run.dir=null is not accepted by Hydra", "--cfg hydra"),
    (["hydra.job.chdir=maybe"], "hydra.job.chdir=maybe is not accepted by Hydra", "--cfg hydra"),
    (["output="], "output= is empty", "name a folder"),
    (["hydra.run.dir=???"], "hydra.run.dir=??? stands for a value that is missing", "another"),
    ([*SAMPLE[:-1], "prompt=???"], "prompt=??? stands for a value that is missing", "another"),
    (["task=compare", "runs=a,???"], "runs=??? stands for a value that is missing", "another"),
    (["~logger"], "~logger takes away what a run reads", "write another logger="),
    (["~data"], "~data takes away what a run reads", "write another data="),
    ([*SAMPLE, "sampler.steps=3,5"], "genzoo: sampler.steps=3,5 has a comma", "use -m"),
    (["seed=1\nFAKE"], r"seed=1\nFAKE has a line break in it", "write it in one line"),
    (["model=vae", "metrics.images=5"], "metrics.images=5 are too few for metrics.splits=10", ""),
]


@pytest.mark.parametrize(("typed", "problem", "remedy"), KEYS, ids=lambda v: str(v)[:40])
def test_a_key_that_nothing_knows_is_refused(
    shell: Shell, typed: list[str], problem: str, remedy: str
) -> None:
    one_line(shell("logger=none", *typed), problem, remedy)


def test_a_sweep_has_no_one_configuration_to_show(shell: Shell) -> None:
    for typed in (("-m", "model=vae,gan", "--cfg", "job"), ("--cfg", "job", "-m", "seed=0")):
        one_line(shell(*typed), "--cfg and --info show one job", "leave -m away")


def test_what_is_never_measured_is_not_asked_for(shell: Shell) -> None:
    """A CLIP draws nothing; its run comes as far as the data, which are not there."""
    for model in ("clip", "noisy_classifier"):
        typed = (f"model={model}", "metrics.images=5", "metrics.real_images=2")
        one_line(shell("logger=none", *typed, "data=folder", "data.root=/no"), "no folder /no")


def test_keys_left_to_python_and_to_ones_own_classes_can_be_added(shell: Shell) -> None:
    """They come further than the check of keys, to the value that is wrong."""
    for added in ("+model.unet.recompute=true", "+model.text.padding=true"):
        one_line(shell(added, "metrics.batch=0"), "metrics.batch=0")
    edm = ("model=diffusion", "model/process=edm", "sampler=heun", "trainer.nodes=2")
    for typed in ((*edm, "+model.process.rho=5"), ("model=flow", "+model.arch.bound=1.5", edm[3])):
        one_line(shell("logger=none", *typed), "trainer.nodes=2 needs a process")
    one_line(shell(*edm, "+model.process.rh=5"), "no key model.process.rh", "model.process.rho?")
    one_line(shell(*edm, "+model.process.rho=x"), "model.process.rho=x is no number but text")
    one_line(shell("model=vae", "+model.foo=1"), "with model=vae there is no key model.foo")
    one_line(
        shell("+model.mine=1", "model._target_=mine.Model", "metrics.batch=0"), "metrics.batch=0"
    )


PLACES = [
    ("checkpoint=1e3", "there is no checkpoint 1e3"),
    ("checkpoint=a=b", "there is no checkpoint a=b"),
    ("checkpoint=~nobody-here/x", "a path begins with ~, and there is no such home folder"),
    ("data.root=2024", "there is no folder 2024"),
    ("data.root=x(1), b", "there is no folder x(1), b"),
    ("data.root=${x}", "there is no folder ${x}"),
    ("guidance.checkpoint=a(1)", "there is no checkpoint a(1)"),
    ("metrics.clip=a=b", "there is no checkpoint a=b"),
]


@pytest.mark.parametrize(("typed", "line"), PLACES, ids=[typed for typed, _ in PLACES])
def test_a_path_is_what_was_typed(shell: Shell, typed: str, line: str) -> None:
    key = typed.partition(".")[0]
    extra = {"data": ["data=folder"], "guidance": ["guidance=classifier"]}.get(key, [])
    one_line(shell("logger=none", *extra, typed), line)


@pytest.mark.parametrize(
    ("caption", "folder"),
    [
        ("'tis", "a=b"),
        ('"hello" he said', "x(1), ü"),
        ("${oc.env:HOME}", "${x}"),
        ("a cat, a dog", "2024"),
        ("[8,16]", "it's"),
        ("2024", "~x y"),
        ("", 'c"d'),
        ("two\nlines", "a\nb"),
        ("👩‍🚀 \\ ∑", "back\\slash\\"),
    ],
)
def test_captions_and_folders_come_through(
    shell: Shell, tmp_path: Path, caption: str, folder: str
) -> None:
    small = ("count=1", "sampler.steps=2", "trainer.gpus=0")
    result = shell(*SAMPLE[:-1], f"prompt={caption}", f"hydra.run.dir={folder}", *small)
    assert (result.status, result.err) == (0, "")
    with Image.open(tmp_path / folder / "samples" / "00000.png") as picture:
        assert picture.text["caption"] == caption  # type: ignore[attr-defined]
    command = yaml.safe_load((tmp_path / folder / "config.yaml").read_text())["run"]["command"]
    assert f"prompt={caption}" in shlex.split(command)


def test_sweeps_keep_hydras_rules(shell: Shell, tmp_path: Path) -> None:
    small = ("count=1", "sampler.steps=2", "trainer.gpus=0", "hydra.sweep.dir=s")
    result = shell("-m", *SAMPLE[:-1], 'prompt="a, b",c', *small)
    assert (result.status, result.err) == (0, "")
    captions = set()
    for path in (tmp_path / "s").glob("*/samples/00000.png"):
        with Image.open(path) as picture:
            captions.add(picture.text["caption"])  # type: ignore[attr-defined]
    assert captions == {"a, b", "c"}


def own_folder(folder: Path) -> Path:
    """Configurations of a person's own: a group, and an experiment that is a sweep."""
    files = {
        "extra/foo.yaml": "# @package _global_\nmine: 1\n",
        "experiment/both.yaml": (
            "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
            "      seed: 0,1\n"
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_groups_and_sweeps_of_ones_own_are_known(shell: Shell, tmp_path: Path) -> None:
    own = own_folder(tmp_path / "own")
    one_line(shell("--config-dir", str(own), "+extra=foo", "metrics.batch=0"), "metrics.batch=0")
    small = ("count=1", "sampler.steps=2", "trainer.gpus=0", "hydra.sweep.dir=s")
    typed = ("experiment=both", *SAMPLE[:-1], 'prompt="a, b"', *small)
    result = shell("--config-dir", str(own), *typed)
    assert (result.status, result.err) == (0, "")
    for path in (tmp_path / "s").glob("*/samples/00000.png"):
        with Image.open(path) as picture:  # by Hydra's rules, in which quotes are none of the text
            assert picture.text["caption"] == "a, b"  # type: ignore[attr-defined]
    assert len(list((tmp_path / "s").glob("*/samples/00000.png"))) == 2


def test_networks_larger_than_any_memory_are_refused(shell: Shell) -> None:
    huge = "[1000000000000,8,8]"  # the first layer is too large: nothing is allocated before it
    result = shell(
        "model=vae", f"model.widths={huge}", "data=shapes", "data.source.count=96", "logger=none",
        "trainer.gpus=0", "metrics.extractors=[]", "data.image_size=16",
    )  # fmt: skip
    one_line(result, "the networks of this model=vae need more memory than there is", "model.*")
