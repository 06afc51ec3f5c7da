"""What a family is built on: another one's trained model, of which it takes over what it needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Parent:
    """What may stand at a key that names the model to build on.

    Attributes:
        key: of the command line, at its top level; the family's YAML file has it with `null`.
        noun: what a parent is, with its article: "a VAE".
        families: names of the families that may be one, the usual one first.
        remedy: what to name instead of a model that is none.
    """

    key: str
    noun: str
    families: tuple[str, ...]
    remedy: str


class HasParent(ABC):
    """A family that is built on a trained model of another one, and reads with its tokenizer."""

    parent: ClassVar[Parent]

    @classmethod
    @abstractmethod
    def inherited_settings(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Keys of the own section `model` that follow from the parent's.

        Args:
            settings: the parent's section `model`, resolved.
        """

    @classmethod
    @abstractmethod
    def inherited_weights(
        cls, settings: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> dict[str, dict[str, Tensor]]:
        """The weights of each submodule that is taken over, by the submodule's name.

        Args:
            settings: the parent's section `model`, resolved.
            weights: the parent's averaged weights by name.
        """


def below(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of a submodule, by their names within it."""
    prefix = f"{part}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
