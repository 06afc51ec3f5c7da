"""What a family says of the one that it is built on holds for its YAML file and its classes."""

from __future__ import annotations

import pytest
import torch

from genzoo.config.composition import compose
from genzoo.config.objects import target
from genzoo.config.paths import groups
from genzoo.config.values import plain
from genzoo.models.parent import HasParent, below

FAMILIES = {name: target(compose(f"model={name}").model._target_) for name in groups()["model"]}
BUILT = [name for name, family in FAMILIES.items() if issubclass(family, HasParent)]


def test_some_are_built_on_others() -> None:
    assert BUILT


@pytest.mark.parametrize("name", BUILT)
def test_the_parent_is_named_by_a_key_of_its_own(name: str) -> None:
    cfg, parent = compose(f"model={name}"), FAMILIES[name].parent
    assert parent.key in cfg
    assert cfg[parent.key] is None
    assert set(parent.families) <= FAMILIES.keys()
    assert not any(parent.key in compose(f"model={other}") for other in FAMILIES.keys() - {name})


@pytest.mark.parametrize(
    ("name", "of"), [(name, of) for name in BUILT for of in FAMILIES[name].parent.families]
)
def test_what_is_inherited_are_keys_of_its_own(name: str, of: str) -> None:
    own = plain(compose(f"model={name}"))["model"]
    inherited = FAMILIES[name].inherited_settings(plain(compose(f"model={of}"))["model"])
    assert inherited.keys() <= own.keys()
    assert inherited


def test_weights_of_a_part_are_those_below_its_name() -> None:
    a, b = torch.zeros(1), torch.ones(1)
    found = below({"clip.a": a, "clip.b.c": b, "clipped.a": a, "clip": b}, "clip")
    assert found.keys() == {"a", "b.c"}
    assert found["a"] is a
    assert found["b.c"] is b
