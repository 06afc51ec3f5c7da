"""What is let through can be built and trained: every number of every family's shape, set to 3."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from genzoo.config.composition import compose
from genzoo.config.objects import build
from genzoo.config.paths import groups
from genzoo.config.schema import _leaves, _tree, check_together, check_values
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Batch
from genzoo.run.check import _check_model

THIN = ("text.vocab_size=300", "text.context=8", "data.image_size=16")
COMMANDS = [
    *([f"model={name}"] for name in groups()["model"]),
    ["model=flow", "model/arch=tarflow"],
    ["model=diffusion", "model/process=edm"],
    ["model=diffusion", "model/process=discrete"],
]
OF_DATA = ("image_size", "labels")  # told by other tests, and by the data
CLIPS = "model.clip."  # decided by the CLIP that an unCLIP is built on


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.rand(4, 3, 16, 16, generator=generator) * 2 - 1,
        caption=tuple("abcd"),
        tokens=torch.randint(0, 257, (4, 8), generator=generator),
        token_mask=torch.ones(4, 8, dtype=torch.bool),
        label=torch.arange(4),
        index=torch.arange(4),
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_let_through_can_be_trained(command: list[str]) -> None:
    size = ["model/size@model=tiny"] if command == ["model=glide"] else []
    base = OmegaConf.create(OmegaConf.to_container(compose(*command, *size, *THIN), resolve=True))
    items, tried, refused = batch(), 0, 0
    for key, value in _leaves(_tree(base)):
        number = isinstance(value, int | list) and not isinstance(value, bool)
        if not key.startswith("model.") or key.startswith(CLIPS) or not number:
            continue
        if key.rpartition(".")[2] in OF_DATA:
            continue
        cfg = OmegaConf.create(OmegaConf.to_container(base))
        OmegaConf.update(cfg, key, [3] * len(value) if isinstance(value, list) else 3, merge=False)
        try:
            check_values(cfg)
            check_together(cfg)
            _check_model(cfg, 0)
        except UsageError:
            refused += 1
            continue
        model = build({str(name): inner for name, inner in cfg.model.items()})
        noise = Noise.of(0, items.index, "test")
        for objective in model.objectives().values():
            assert objective.losses(items, noise=noise).total.isfinite().all(), key
        tried += 1
    assert tried > 1
    assert refused or "autoencoder" in command[0]
