"""What is built from a configuration besides data and metrics."""

from __future__ import annotations

import copy
import shutil

import pytest
from omegaconf import DictConfig

from genzoo.config.composition import compose
from genzoo.core.errors import UsageError
from genzoo.run import build, loading

TINY = ("model.unet.width=8", "model.unet.head_channels=8", "data.image_size=16", "trainer.gpus=0")


def composed(*overrides: str) -> DictConfig:
    return compose(*overrides, "trainer.compile=true")


@pytest.mark.parametrize("model", ["diffusion", "noisy_classifier"])
def test_networks_are_compiled_in_place(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = composed(f"model={model}", *TINY)
    plain = build.build_model(cfg)
    compiled = build.build_model(cfg)
    average = copy.deepcopy(compiled)
    loading.compiled(cfg, compiled, average)
    assert "compiled" in capsys.readouterr().out
    for copied in (compiled, average):
        (network,) = copied.compilable()
        assert network._compiled_call_impl is not None
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    # The moving average is a copy of the model.
    (copied,) = copy.deepcopy(compiled).compilable()
    assert copied.state_dict().keys() == network.state_dict().keys()


def test_what_cannot_be_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = composed("model=vae", "data.image_size=16", "trainer.gpus=0")
    with pytest.raises(UsageError, match="model=vae has no network that can be compiled"):
        loading.compiled(cfg, build.build_model(cfg))
    cfg = composed("model=diffusion", *TINY)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"C\+\+ compiler"):
        loading.compiled(cfg, build.build_model(cfg))
    cfg.trainer.compile = False
    model = build.build_model(cfg)
    loading.compiled(cfg, model)
    (network,) = model.compilable()
    assert network._compiled_call_impl is None
