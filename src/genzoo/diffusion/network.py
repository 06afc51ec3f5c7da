"""The U-Net with a text encoder of its own: GLIDE's network (arXiv 2112.10741, section 3.1).

Shape letters: b batch, c channels in, k channels out, h height, w width, e of the embedding,
l tokens, d text width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.core.errors import Unsupported
from genzoo.nn.unet import UNet, UNetShape
from genzoo.text.encoder import TextEncoder

EXTRA = 4  # tokens that an embedding is projected to


@dataclass(frozen=True)
class TextConditioning:
    """Features of captions, classes and embeddings, computed once for all steps of sampling.

    Attributes:
        embedding: added to the time embedding.
        context: token features for attention; None without captions.
    """

    embedding: Float[Tensor, "b e"]
    context: Float[Tensor, "b l d"] | None

    def __getitem__(self, rows: slice) -> TextConditioning:
        context = None if self.context is None else self.context[rows]
        return TextConditioning(self.embedding[rows], context)

    def lerp(self, other: TextConditioning, share: float) -> TextConditioning:
        """Linear interpolation to other features."""
        embedding = torch.lerp(self.embedding, other.embedding, share)
        if self.context is None or other.context is None:
            return TextConditioning(embedding, None)
        return TextConditioning(embedding, torch.lerp(self.context, other.context, share))

    def cat(self, more: TextConditioning) -> TextConditioning:
        """The rows of both, concatenated."""
        embedding = torch.cat([self.embedding, more.embedding])
        if self.context is None or more.context is None:
            return TextConditioning(embedding, None)
        return TextConditioning(embedding, torch.cat([self.context, more.context]))


@dataclass(frozen=True)
class ImageConditioning:
    """Input channels beside x_t; absent ones are zeros.

    Attributes:
        image: with a known part, for inpainting.
        mask: 1 where it is known, 0 where it is to be sampled.
        low_res: the image at a smaller size, for upsampling.
    """

    image: Float[Tensor, "b c h w"] | None = None
    mask: Float[Tensor, "b 1 h w"] | None = None
    low_res: Float[Tensor, "b c i j"] | None = None

    def twice(self) -> ImageConditioning:
        """The rows repeated twice."""
        values = (self.image, self.mask, self.low_res)
        return ImageConditioning(
            *(None if value is None else value.repeat(2, 1, 1, 1) for value in values)
        )


class TextUNet(nn.Module):
    """A U-Net conditioned on a text encoder: on its last position, and by attention to its tokens.

    Args:
        shape: of the U-Net.
        out: channels of its output.
        text: arguments of the `TextEncoder`; None for a network without captions.
        labels: number of classes that it is conditioned on; 0 for none.
        inpaint: whether it is conditioned on a masked image and the mask.
        upsample: whether it is conditioned on a smaller image.
        channels: of the images.
        embedding: size of an image embedding that it is conditioned on (unCLIP, arXiv 2204.06125,
            section 2.1): added to the time embedding, and attended to as `EXTRA` more tokens.
            0 for none.
    """

    def __init__(
        self,
        shape: UNetShape,
        *,
        out: int,
        text: Mapping[str, Any] | None,
        labels: int = 0,
        embedding: int = 0,
        inpaint: bool = False,
        upsample: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.inpaint, self.upsample = inpaint, upsample
        self.text = None if text is None else TextEncoder(**text)
        width = 0 if text is None else int(text["width"])
        self.project = nn.Linear(width, shape.embedding) if width else None
        # The first row stands for no class.
        self.classes = nn.Embedding(labels + 1, shape.embedding) if labels else None
        self.steer = nn.Linear(embedding, shape.embedding) if embedding else None
        self.extra = nn.Linear(embedding, EXTRA * width) if embedding and width else None
        seen = channels + inpaint * (channels + 1) + upsample * channels
        self.unet = UNet(shape, channels=seen, out=out, context=width)

    def encode_condition(
        self,
        tokens: Int[Tensor, "b l"],
        mask: Bool[Tensor, "b l"],
        label: Int[Tensor, " b"] | None = None,
        vector: Float[Tensor, "b k"] | None = None,
    ) -> TextConditioning:
        """Features of captions, classes and embeddings.

        Args:
            tokens: of the captions.
            mask: True on a caption's own tokens.
            label: class numbers, -1 for none; None for an unconditional batch.
            vector: image embeddings, zeros for none.

        Raises:
            Unsupported: if the network is conditioned on embeddings and is given none.
        """
        embedding = self.unet.out.weight.new_zeros(len(tokens), self.unet.shape.embedding)
        context = None
        if self.text is not None and self.project is not None:
            features = self.text(tokens, mask)
            embedding, context = self.project(features.last), features.tokens
        if self.classes is not None:
            rows = torch.zeros_like(tokens[:, 0]) if label is None else label + 1
            embedding = embedding + self.classes(rows)
        if self.steer is not None:
            if vector is None:
                raise Unsupported(
                    "this network is conditioned on CLIP embeddings", "give it some, or zeros"
                )
            embedding = embedding + self.steer(vector)
            if self.extra is not None and context is not None:
                extra = self.extra(vector).unflatten(1, (EXTRA, -1))
                context = torch.cat([context, extra], dim=1)
        return TextConditioning(embedding, context)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        times: Shaped[Tensor, " b"],
        text_cond: TextConditioning | None = None,
        image_cond: ImageConditioning | None = None,
    ) -> Float[Tensor, "b k h w"]:
        """The output of the U-Net, given text features and image channels.

        Raises:
            Unsupported: for a text-conditional network without text features, or an upsampler
                without a smaller image.
        """
        if text_cond is None and (self.text is not None or self.classes is not None):
            raise Unsupported(
                "this network is conditioned on captions", "encode some, or empty ones"
            )
        seen: Tensor = self.unet(
            self._stacked(x, image_cond or ImageConditioning()),
            times,
            embedding=None if text_cond is None else text_cond.embedding,
            context=None if text_cond is None else text_cond.context,
        )
        return seen

    def _stacked(self, x: Tensor, image_cond: ImageConditioning) -> Tensor:
        """The input channels: x, the known part, the mask, the smaller image upsampled."""
        parts = [x]
        if self.inpaint:
            mask = (
                x.new_zeros(len(x), 1, *x.shape[2:])
                if image_cond.mask is None
                else image_cond.mask
            )
            image = torch.zeros_like(x) if image_cond.image is None else image_cond.image
            parts += [image * mask, mask]
        if self.upsample:
            if image_cond.low_res is None:
                raise Unsupported("an upsampler needs a smaller image", "give low_res")
            parts.append(F.interpolate(image_cond.low_res, x.shape[2:], mode="bilinear"))
        return torch.cat(parts, dim=1)
