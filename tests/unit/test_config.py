from __future__ import annotations

import pytest
import yaml
from omegaconf import OmegaConf

from genzoo.cli import literal
from genzoo.config.composition import compose
from genzoo.config.merge import from_checkpoint
from genzoo.config.objects import build, target
from genzoo.config.paths import config_dir, groups
from genzoo.config.values import plain
from genzoo.core.errors import UsageError


def owner(group: str) -> list[str]:
    """The choice that a group within a group belongs to, such as model=flow for model/arch."""
    outer, _, inner = group.partition("/")
    options = groups()[outer] if inner else []
    files = {option: (config_dir() / outer / f"{option}.yaml").read_text() for option in options}
    return [f"{outer}={option}" for option, text in files.items() if f"- {inner}@" in text][:1]


OPTIONS = [(group, option) for group, names in groups().items() for option in names]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_file_composes_and_names_things_that_exist(group: str, option: str) -> None:
    assert yaml.safe_load((config_dir() / group / f"{option}.yaml").read_text())
    cfg = compose(*owner(group), *literal([f"{group}={option}"]))
    assert cfg.model.name
    for section in (cfg.task, cfg.model, cfg.data, cfg.data.source):
        assert callable(target(section._target_))


def test_a_target_that_does_not_exist_and_a_key_that_it_does_not_take() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        build({"_target_": "genzoo.models.gone.Model"})
    with pytest.raises(UsageError, match=r"OpenMoji cannot be made of .*'width'"):
        build({"_target_": "genzoo.data.openmoji.OpenMoji", "width": 3})


def test_a_checkpoint_decides_model_and_data_and_what_is_typed_wins() -> None:
    cfg = compose("task=evaluate", "model=vae", "model.latent=7", "metrics.images=5", "seed=3")
    saved = plain(compose("model=vae", "model.latent=16", "model.beta=2", "data.image_size=64"))
    merged = from_checkpoint(cfg, saved, ["task=evaluate", "model.latent=7", "seed=3"])
    assert merged.model.beta == 2
    assert merged.model.latent == 7
    assert merged.data.image_size == 64
    assert merged.metrics.images == 5
    assert merged.task.name == "evaluate"
    assert merged.seed == 3


def test_naming_the_checkpoints_model_changes_nothing() -> None:
    saved = plain(compose("model=vae", "model.latent=16", "model.beta=2"))
    merged = from_checkpoint(
        compose("model=vae", "model.beta=3"), saved, ["model=vae", "model.beta=3"]
    )
    assert merged.model.latent == 16
    assert merged.model.beta == 3


def test_another_model_than_the_checkpoints_is_refused() -> None:
    saved = plain(compose("model=autoencoder"))
    with pytest.raises(UsageError, match="holds model=autoencoder"):
        from_checkpoint(compose("model=vae"), saved, ["model=vae"])


def test_keys_of_the_checkpoints_own_model_can_be_typed() -> None:
    saved = plain(compose("model=flow"))
    typed = "++model.temperature=0.5"
    merged = from_checkpoint(compose("model=vae", typed), saved, [typed])
    assert merged.model.temperature == 0.5
    wrong = "++model.temprature=0.5"
    with pytest.raises(UsageError, match=r"no key model.temprature; did you mean model.temperat"):
        from_checkpoint(compose("model=vae", wrong), saved, [wrong])


def test_plain_is_resolved_plain_data() -> None:
    values = plain(compose("data.image_size=16"))
    assert values["model"]["image_size"] == 16
    assert OmegaConf.create(values) == values
