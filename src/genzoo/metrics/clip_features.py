"""Image embeddings of a CLIP as features: for CMMD, and any other metric of features.

CMMD means OpenAI's ViT-L/14 for 336 pixels (Radford et al. 2021, 2103.00020), whose weights the
package open_clip fetches. The middle square of an image is brought to the CLIP's size as Pillow
does it, like in the code of CMMD's authors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from genzoo.core.precision import exact
from genzoo.metrics.features import Features
from genzoo.metrics.kinship import weights_hash
from genzoo.metrics.resize import PILLOW, crop_square, resize_pillow

PUBLISHED_WORD = "open_clip/ViT-L-14-336/openai"
PUBLISHED_NAME = "clip_vit_l_14_336"
CHUNK = 16


@runtime_checkable
class ImageEncoder(Protocol):
    """What of a model of images and captions is needed here."""

    @property
    def image_size(self) -> int:
        """Side of the images that it was trained on."""

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Unit vectors of images in [-1, 1]."""


@dataclass(frozen=True)
class CLIPExtractor:
    """A `FeatureExtractor` of a CLIP's image embeddings.

    Attributes:
        clip: in evaluation mode, on `device`.
        name: what its metrics are called after.
        sha256: of the tensors of its weights.
        dim: numbers of an embedding.
        device: where it computes.
        published: whether it is the CLIP of CMMD.
    """

    clip: Any  # an ImageEncoder; typed so that a dataclass in it is found by its networks
    name: str
    sha256: str
    dim: int
    device: torch.device
    published: bool
    resizing: str = f"middle square, {PILLOW}"
    quantisation: str = "8 bit per channel, RGB"
    classes: int = 0
    unit_length: bool = True

    @property
    def input_size(self) -> int:
        """Side of the images that it sees."""
        return int(self.clip.image_size)

    def __call__(self, images: Tensor) -> Features:
        """Embeddings of 8-bit RGB images of shape (b, 3, h, w).

        Raises:
            TypeError: the images are not uint8.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"features are taken from uint8 images, not {images.dtype}")
        with torch.no_grad(), exact(self.device):
            parts = [self._chunk(part) for part in images.split(CHUNK) if len(part)]
        pooled = torch.cat(parts) if parts else torch.empty(0, self.dim, device=self.device)
        return Features(pooled, torch.empty(len(pooled), 0, device=self.device))

    def _chunk(self, images: Tensor) -> Tensor:
        pixels = resize_pillow(crop_square(images.to(self.device)), self.input_size)
        found: Tensor = self.clip.encode_image(pixels / 127.5 - 1)
        return found.float()


def clip_extractor(
    clip: ImageEncoder, *, word: str, device: torch.device | str = "cpu"
) -> CLIPExtractor:
    """The extractor of a model of images and captions.

    Args:
        clip: on `device`.
        word: that named it; `PUBLISHED_WORD` makes it the CLIP of CMMD, and no other does.
        device: where it computes.
    """
    where, size = torch.device(device), clip.image_size
    with torch.no_grad(), exact(where):
        dim = clip.encode_image(torch.zeros(1, 3, size, size, device=where)).shape[1]
    published = word == PUBLISHED_WORD
    return CLIPExtractor(
        clip=clip,
        name=PUBLISHED_NAME if published else "clip",
        sha256=weights_hash(clip),
        dim=dim,
        device=where,
        published=published,
    )
