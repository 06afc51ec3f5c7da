"""The formats of released files, which are read as if genzoo had trained them.

A further format is a module with the functions of `ReleasedFormat`, and an entry in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.weights import openai_clip, openai_glide


class ReleasedFormat(Protocol):
    """What reads the files of one format; a module.

    Attributes:
        FAMILY: name of the model that its files hold.
        TITLE: whose weights they are, for messages.
    """

    FAMILY: str
    TITLE: str

    def claims(self, word: str) -> bool:
        """Whether a word for a checkpoint means weights of this format, by name or by folder."""

    def locate(
        self, word: str, *, settings: Mapping[str, Any], task: str, weights_dir: str | Path | None
    ) -> Path:
        """The file that such a word means, fetched on first use.

        Args:
            word: that it claims.
            settings: the section `model` of the command, for formats of several networks.
            task: name of the command, for networks that are made for one.
            weights_dir: where the files lie already; None for the user's cache, and the network.

        Raises:
            UsageError: where it is not there.
            GenzooError: where it cannot be fetched.
        """

    def second_stage(self, word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
        """The file of the network that enlarges what others of the format sample, if any."""

    def detects(self, content: object) -> bool:
        """Whether a file's content is of this format."""

    def about_of(self, content: object, path: Path) -> dict[str, Any]:
        """What a checkpoint of genzoo's would say of itself, for content that it detects."""

    def weights_of(self, content: object, path: Path) -> dict[str, Tensor]:
        """The weights by the names of the family's parameters, for content that it detects."""


FORMATS: tuple[ReleasedFormat, ...] = (openai_glide, openai_clip)
TITLES = " or ".join(one.TITLE for one in FORMATS)
# How a network is trained that does what the released second stages do.
SECOND_STAGE = "model=glide model.stage=upsample"
described = openai_glide.described  # what a file of no format holds, in a few words


def format_of(content: object) -> ReleasedFormat | None:
    """The format of a file's content; None for what was not released."""
    return next((one for one in FORMATS if one.detects(content)), None)


def claimed(word: str) -> bool:
    """Whether a word means released weights, by name or by folder."""
    return any(one.claims(word) for one in FORMATS)


def locate(
    word: str,
    *,
    key: str,
    families: Collection[str],
    settings: Mapping[str, Any],
    task: str,
    weights_dir: str | Path | None,
) -> Path:
    """The file that a word for released weights means.

    Args:
        word: that is `claimed`.
        key: at which it stands, for messages.
        families: that are wanted, where the word names weights of several.
        settings: the section `model` of the command.
        task: its name.
        weights_dir: where the files lie already.

    Raises:
        UsageError: where nobody released weights of these families, or they are not there.
        GenzooError: where they cannot be fetched.
    """
    claiming = [one for one in FORMATS if one.claims(word)]
    wanted = [one for one in claiming if one.FAMILY in families]
    if not wanted and len(claiming) > 1:
        names = " or ".join(f"model={one.FAMILY}" for one in claiming)
        raise UsageError(
            f"nobody released a model={' or '.join(families)} under {key}={word}",
            f"write {names} {key}={word}",
        )
    chosen = (wanted or claiming)[0]
    return chosen.locate(word, settings=settings, task=task, weights_dir=weights_dir)


def second_stage(word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
    """The released network that enlarges samples, which a word names; None where none is."""
    for one in FORMATS:
        if one.claims(word):
            path = one.second_stage(word, task=task, weights_dir=weights_dir)
            if path is not None:
                return path
    return None
