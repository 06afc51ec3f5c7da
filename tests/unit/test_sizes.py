"""Each family says what sizes fit; those that fit can be built and trained, others are refused."""

from __future__ import annotations

import math

import pytest
import torch
from omegaconf import OmegaConf

from genzoo.config.composition import compose
from genzoo.config.objects import build
from genzoo.config.paths import groups
from genzoo.config.values import plain
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.run.check import _check_model, _size_units

COMMANDS = [
    *([f"model={name}"] for name in groups()["model"]),
    ["model=flow", "model/arch=tarflow"],
    ["model=flow", "model/dequantisation=uniform"],
    ["model=flow", "model.arch.levels=2"],
    ["model=vae", "model.widths=[8,16]"],
    ["model=gan", "model.discriminator.widths=[8,8,8,8]"],
    ["model=diffusion", "model.unet.patch=1", "model.unet.multiples=[1,1,1,2]"],
    ["model=clip", "model.image.patch=2"],
]
THIN = ["text.vocab_size=300", "text.context=8", "model/size@model=tiny"]


def unit_of(command: list[str]) -> int:
    model = plain(compose(*command))["model"]
    return math.lcm(*_size_units(model))


def batch(size: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.rand(4, 3, size, size, generator=generator) * 2 - 1,
        caption=tuple("abcd"),
        tokens=torch.randint(0, 257, (4, 8), generator=generator),
        token_mask=torch.ones(4, 8, dtype=torch.bool),
        label=torch.arange(4),
        index=torch.arange(4),
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_sizes_that_fit_train_and_others_are_refused(command: list[str]) -> None:
    unit = unit_of(command)
    assert unit > 1
    for size in (unit, 3 * unit):
        thin = [word for word in THIN if "size@" not in word or command[0] == "model=glide"]
        cfg = OmegaConf.create(plain(compose(*command, *thin, f"data.image_size={size}")))
        _check_model(cfg, 0)
        model = build({str(key): value for key, value in cfg.model.items()})
        items = batch(size)
        noise = Noise.of(0, items.index, "test")
        for objective in model.objectives().values():
            assert objective.losses(items, noise=noise).total.isfinite().all()
    for size in (1, 2, 15, 20, 28, 30):
        cfg = OmegaConf.create(plain(compose(*command, f"data.image_size={size}")))
        if size % unit == 0:
            _check_model(cfg, 0)
            continue
        with pytest.raises(UsageError, match=f"divisible by {unit}, and data.image_size={size}"):
            _check_model(cfg, 0)


def test_the_remedy_is_a_size_that_fits() -> None:
    for size, remedy in ((30, "=24 or 32"), (1, "=8"), (9, "=8 or 16")):
        with pytest.raises(UsageError) as caught:
            _check_model(compose("model=vae", f"data.image_size={size}"), 0)
        assert caught.value.remedy.endswith(remedy)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["model=glide", "model.stage=prior"], "base, upsample"),
        (["model=unclip", "model.stage=base"], "both, prior, decoder"),
        (["model=unclip", "model.prior.process.learned_variance=true"], "leave it false"),
        (["model=clip", "model/process=edm", "model.noise_aware=true"], "model/process=discrete"),
        (["model=gan", "model.patch=3"], "1, 2 or 4"),
        (["model=gan", "optimizer.batch_size=1"], "optimizer.batch_size=2 or more"),
        (["model=clip", "optimizer.batch_size=1"], "optimizer.batch_size=2"),
        (
            ["model=clip", "optimizer.batch_size=8", "optimizer.accumulate=4"],
            "optimizer.batch_size=32 model.chunk=8",
        ),
    ],
)
def test_what_a_family_cannot_be_trained_as(typed: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _check_model(compose(*typed), 0)
    assert words in caught.value.remedy


def test_accumulation_is_refused_in_training_alone() -> None:
    _check_model(compose("model=clip", "optimizer.accumulate=4", "task=evaluate"), 0)
    _check_model(compose("model=gan", "model.mismatched=0", "optimizer.batch_size=1"), 0)


def test_captions_that_are_all_alike_teach_a_clip_nothing() -> None:
    from dataclasses import replace

    clip = build(plain(compose("model=clip", *THIN[:2], "data.image_size=16"))["model"])
    items = batch(16)
    clip.check(items)
    with pytest.raises(UsageError, match="all captions are alike"):
        clip.check(replace(items, tokens=items.tokens[:1].expand(4, -1)))
