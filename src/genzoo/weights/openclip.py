"""CLIPs of the package open_clip: `open_clip/<model>/<pretrained tag or file>`.

They score clean images only. The package is optional, and fetches its own weights.

Shape letters: b batch, c channels, h height, w width, k features.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core import digest
from genzoo.core.errors import GenzooError, Unsupported, UsageError
from genzoo.diffusion.schedule import NoiseLevel
from genzoo.weights.names import OPEN_CLIP as PREFIX

PACKAGE = "open_clip"
EXAMPLE = "open_clip/ViT-B-32/laion2b_s34b_b79k"


@dataclass(frozen=True)
class OpenCLIPWithTokenizer:
    """An `ImageTextModel` of one of the package's models.

    Attributes:
        model: the package's, in evaluation mode.
        tokenize: its own tokenizer; called with texts and, if other than the model's, the
            number of tokens.
        context: tokens a caption.
        name: the word that names it.
    """

    model: nn.Module
    tokenize: Callable[..., Int[Tensor, "b l"]]
    context: int
    name: str

    @property
    def about(self) -> dict[str, Any]:
        """Which CLIP with which weights."""
        return {
            "clip": self.name,
            "clip_sha256": self.sha256,
            "clip_image_size": self.image_size,
            "clip_tokens": self.context,
        }

    @cached_property
    def sha256(self) -> str:
        """Of the names, shapes and values of its weights: files differ, tags are only names."""
        return digest.of_weights(self.model.state_dict())

    @property
    def noise_aware(self) -> bool:
        """Never: all were trained on clean images."""
        return False

    @property
    def image_size(self) -> int:
        """Height and width of the images that it was trained on."""
        size = self._seeing.image_size
        return int(size[0] if isinstance(size, tuple | list) else size)

    @property
    def scale(self) -> float:
        """The inverse temperature that it was trained with."""
        scale: Any = self.model.logit_scale
        return float(scale.detach().exp())

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "b k"]:
        """Unit vectors; a caption that is too long is truncated."""
        model: Any = self.model
        with torch.no_grad():
            tokens = self.tokenize(list(captions)).to(model.logit_scale.device)
            return F.normalize(model.encode_text(tokens).float(), dim=-1)

    def encode_image(
        self, images: Float[Tensor, "b c h w"], level: NoiseLevel | None = None
    ) -> Float[Tensor, "b k"]:
        """Unit vectors of images in [-1, 1], resized to the model's size.

        Raises:
            Unsupported: for noisy images.
        """
        if level is not None:
            raise Unsupported(
                f"{self.name} scores clean images only", "guide by guidance.checkpoint=openai"
            )
        size = (self.image_size,) * 2
        if images.shape[2:] != size:
            images = F.interpolate(
                images, size, mode="bicubic", antialias=True, align_corners=False
            )
        mean, std = (
            images.new_tensor(values).view(1, 3, 1, 1)
            for values in (self._seeing.image_mean, self._seeing.image_std)
        )
        model: Any = self.model
        return F.normalize(model.encode_image(((images + 1) / 2 - mean) / std).float(), dim=-1)

    def to(self, device: torch.device | str) -> OpenCLIPWithTokenizer:
        """Itself, on another device."""
        self.model.to(device)
        return self

    def is_truncated(self, captions: Sequence[str]) -> Bool[Tensor, " b"]:
        """Which captions are longer than the context.

        A truncated caption has the end token where a longer context has one of its own.
        """
        own = self.tokenize(list(captions), self.context)
        longer = self.tokenize(list(captions), 2 * self.context)
        return (own != longer[:, : self.context]).any(dim=1)

    @property
    def _seeing(self) -> Any:
        """The model's image encoder, which holds the preprocessing of images."""
        return self.model.visual


def is_named(word: str) -> bool:
    """Whether a word for a checkpoint means one of the package's models."""
    return word.startswith(PREFIX)


def check(word: str) -> None:
    """Check that a word names a model and weights, and that the package is installed.

    Raises:
        UsageError: if not.
    """
    _parts(word)
    if importlib.util.find_spec(PACKAGE) is None:
        raise UsageError(f"{word} needs the package open_clip", "pip install 'genzoo[open-clip]'")


def load(word: str) -> OpenCLIPWithTokenizer:
    """The model that a word names, on the CPU; the package fetches missing weights.

    Raises:
        UsageError: for an unknown word, or without the package.
        GenzooError: where the weights cannot be fetched or do not fit.
    """
    check(word)
    file = Path(_parts(word)[1]).expanduser()
    return _loaded(word, file.stat().st_mtime_ns if file.is_file() else None)


@lru_cache(maxsize=2)  # for guidance and for the score; hashing and loading take seconds
def _loaded(word: str, changed: int | None) -> OpenCLIPWithTokenizer:
    import open_clip

    name, weights = _parts(word)
    if name not in open_clip.list_models():
        raise UsageError(
            f"the package open_clip has no model {name}", f"name one of its own: {EXAMPLE}"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights not in tags and not Path(weights).expanduser().is_file():
        raise UsageError(
            f"{weights} is neither a file nor weights that open_clip knows of {name}",
            f"use a file or one of {', '.join(tags) or 'none'}",
        )
    chosen = weights if weights in tags else str(Path(weights).expanduser())
    # The package only warns where weights were trained with another activation than the model's.
    quick = bool(open_clip.pretrained.get_pretrained_cfg(name, weights).get("quick_gelu"))
    try:
        model = open_clip.create_model(
            name, pretrained=chosen, precision="fp32", device="cpu", force_quick_gelu=quick
        )
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # any error of the network, the hub or torch
        reason = " ".join(str(error).split())[:300]
        raise GenzooError(
            f"open_clip cannot make {name} with {weights} ({type(error).__name__}: {reason})",
            "fetch the weights elsewhere and name the file: open_clip/<model>/<file>",
        ) from error
    model.eval().requires_grad_(False)
    return OpenCLIPWithTokenizer(model, tokenizer, int(tokenizer.context_length), word)


def _parts(word: str) -> tuple[str, str]:
    """The model's name and its weights: a tag or a file."""
    name, _, weights = word.removeprefix(PREFIX).partition("/")
    if not is_named(word) or not name or not weights:
        raise UsageError(
            f"{word} names no model and weights of open_clip",
            f"write open_clip/<model>/<pretrained tag or file>, for instance {EXAMPLE}",
        )
    return name, weights
