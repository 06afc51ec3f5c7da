"""Sources of models that score images, beside genzoo's own checkpoints.

A further source is a class like those below, and an entry in `SOURCES`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.errors import UsageError
from genzoo.weights import openai_clip, openclip
from genzoo.weights.names import RELEASED


class ScorerSource(Protocol):
    """Scorers that other programs trained, named by words of their own.

    Attributes:
        use: their purpose, for messages.
    """

    use: str

    def claims(self, word: str) -> bool:
        """Whether a word for a checkpoint means one of these."""

    def find(self, word: str, *, weights_dir: str | Path | None) -> str:
        """The word, made independent of the working directory, after checking for all files.

        Raises:
            UsageError: where one is missing.
            GenzooError: where it cannot be fetched.
        """

    def load(self, word: str, *, weights_dir: str | Path | None) -> ImageTextModel:
        """The scorer on the CPU; raises as `find`."""

    def sha256(self, word: str, *, weights_dir: str | Path | None) -> str:
        """The checksum of its weights, in hexadecimal; raises as `find`."""


class OpenCLIP:
    """The models of the package open_clip."""

    use = "open_clip's models guide and score"

    def claims(self, word: str) -> bool:
        """Words that begin with the package's name."""
        return openclip.is_named(word)

    def find(self, word: str, *, weights_dir: str | Path | None) -> str:
        """The same word; the package fetches weights when they are loaded."""
        openclip.check(word)
        return word

    def load(self, word: str, *, weights_dir: str | Path | None) -> ImageTextModel:
        """The package's model."""
        return openclip.load(word)

    def sha256(self, word: str, *, weights_dir: str | Path | None) -> str:
        """Of its weights."""
        return openclip.load(word).sha256


class OpenAICLIP:
    """GLIDE's CLIP, and folders with two files in its format."""

    use = "OpenAI's CLIP guides and scores"

    def claims(self, word: str) -> bool:
        """The word for the released one, and folders with weights directly in them."""
        return openai_clip.claims(word)

    def find(self, word: str, *, weights_dir: str | Path | None) -> str:
        """The same word, or the absolute path of the folder."""
        openai_clip.vocabulary(openai_clip.pair(word, weights_dir).text.parent)
        return word if word in RELEASED else str(Path(word).expanduser().resolve())

    def load(self, word: str, *, weights_dir: str | Path | None) -> ImageTextModel:
        """The CLIP of the two files."""
        return openai_clip.load(openai_clip.pair(word, weights_dir))

    def sha256(self, word: str, *, weights_dir: str | Path | None) -> str:
        """Of both files."""
        return openai_clip.pair(word, weights_dir).sha256


SOURCES: tuple[ScorerSource, ...] = (OpenCLIP(), OpenAICLIP())


def source_of(word: str) -> ScorerSource | None:
    """The source that a word refers to; None for genzoo's own checkpoints."""
    return next((source for source in SOURCES if source.claims(word)), None)


def check_whole(path: Path) -> None:
    """Refuse a file that is only a part of a scorer.

    Raises:
        UsageError: with what to name instead.
    """
    if (half := openai_clip.kind_of(path)) is not None:
        raise UsageError(
            f"{path} is the {half} encoder of a CLIP in OpenAI's format, and only that",
            f"name the folder that holds both encoders: {path.parent}",
        )
