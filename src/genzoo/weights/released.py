"""The formats of released files, which are read like genzoo's checkpoints.

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
    """A reader of files of one format; a module.

    Attributes:
        FAMILY: name of the model that its files hold.
        TITLE: name of the weights, for messages.
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
            task: name of the command, for networks that serve one task.
            weights_dir: where the files are; None for the user's cache, and the network.

        Raises:
            UsageError: where it is missing.
            GenzooError: where it cannot be fetched.
        """

    def second_stage(self, word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
        """The file of the upsampler of the format's samples, if any."""

    def detects(self, content: object) -> bool:
        """Whether a file's content is of this format."""

    def about_of(self, content: object, path: Path) -> dict[str, Any]:
        """The metadata as in a checkpoint of genzoo's, for content that it detects."""

    def weights_of(self, content: object, path: Path) -> dict[str, Tensor]:
        """The weights by the names of the family's parameters, for content that it detects."""


FORMATS: tuple[ReleasedFormat, ...] = (openai_glide, openai_clip)
TITLES = " or ".join(one.TITLE for one in FORMATS)
# The command line that trains a counterpart of the released second stages.
SECOND_STAGE = "model=glide model.stage=upsample"
described = openai_glide.described  # describes a file of no known format


def format_of(content: object) -> ReleasedFormat | None:
    """The format of a file's content; None if it is not a released one."""
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
        key: of the word, for messages.
        families: to choose from, where the word names weights of several.
        settings: the section `model` of the command.
        task: its name.
        weights_dir: where the files are.

    Raises:
        UsageError: where there are no released weights of these families, or they are missing.
        GenzooError: where they cannot be fetched.
    """
    claiming = [one for one in FORMATS if one.claims(word)]
    wanted = [one for one in claiming if one.FAMILY in families]
    if not wanted and len(claiming) > 1:
        names = " or ".join(f"model={one.FAMILY}" for one in claiming)
        raise UsageError(
            f"there is no released model={' or '.join(families)} for {key}={word}",
            f"write {names} {key}={word}",
        )
    chosen = (wanted or claiming)[0]
    return chosen.locate(word, settings=settings, task=task, weights_dir=weights_dir)


def second_stage(word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
    """The released upsampler that a word names; None if there is none."""
    for one in FORMATS:
        if one.claims(word):
            path = one.second_stage(word, task=task, weights_dir=weights_dir)
            if path is not None:
                return path
    return None
