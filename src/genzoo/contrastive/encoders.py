"""CLIP's two encoders, built as in GLIDE's noise-aware CLIP (arXiv 2112.10741, section 2.4).

Radford et al. (CLIP), arXiv 2103.00020. What a released encoder lacks here (the bias of keys)
changes nothing, as a number added to all keys alike leaves the attention as it is.

Shape letters: b batch, c channels, h height, w width, n patches, l tokens, d width, k features.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from genzoo.core.errors import Unsupported, UsageError
from genzoo.nn.transformer import Block
from genzoo.nn.unet import time_features

# Mean and standard deviation of CLIP's training pixels, 0 to 255 (arXiv 2103.00020, its code).
MEAN = (122.77093945, 116.74601272, 104.09373519)
STD = (68.50053285, 66.63215831, 70.32316309)


class ImageEncoder(nn.Module):
    """A Vision Transformer whose first position is the class token.

    Args:
        image_size: height and width of the images, a multiple of `patch`.
        patch: pixels along a side of a patch.
        width: of the Transformer.
        layers: of it.
        heads: of its attention.
        features: size of an image's embedding.
        steps: of the process of its noisy images, each with a class token of its own; 0 for
            clean images.

    Raises:
        UsageError: where patches do not fill the image, or heads not the width.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        image_size: int,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        features: int,
        steps: int = 0,
    ) -> None:
        super().__init__()
        if image_size % patch:
            raise UsageError(
                f"images of {image_size} px cannot be divided into patches of {patch} px",
                "choose a patch that divides the size",
            )
        _check_heads(width, heads)
        self.image_size, self.steps = image_size, steps
        self.patches = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.first = nn.Parameter(_first_positions(steps, width))
        count = (image_size // patch) ** 2 + 1
        self.position = nn.Parameter(nn.init.normal_(torch.empty(count, width), std=0.02))
        self.norm_in = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, features, bias=False)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        times: Int[Tensor, " b"] | None = None,
        *,
        kept: Int[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b k"]:
        """Features of images in [-1, 1], or of noisy ones of the same variance.

        Args:
            images: of the encoder's size.
            times: step of the process of each; None for an encoder of clean images.
            kept: indices of the patches that are encoded, in row-major order; None for all.

        Raises:
            Unsupported: for images of another size, or times for an encoder of clean images.
        """
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise Unsupported(
                f"this CLIP reads images of 3 x {self.image_size} x {self.image_size}, "
                f"not {' x '.join(map(str, images.shape[1:]))}",
                "resize them",
            )
        if (times is None) != (self.steps == 0):
            raise Unsupported(
                "times are for a noise-aware CLIP, which always needs them",
                "train one with model.noise_aware=true",
            )
        pixels = ((images + 1) * 127.5 - self.mean) / self.std
        patches_bnd = self.patches(pixels).flatten(2).transpose(1, 2)
        rows = torch.zeros_like(images[:, 0, 0, 0], dtype=torch.long) if times is None else times
        patches_bnd = patches_bnd + self.position[1:]
        if kept is not None:
            patches_bnd = patches_bnd.take_along_dim(kept[..., None], dim=1)
        first_b1d = (self.first[rows, None] + self.position[:1]).to(patches_bnd.dtype)
        x_bnd = self.norm_in(torch.cat([first_b1d, patches_bnd], dim=1))
        for block in self.blocks:
            x_bnd = block(x_bnd)
        features: Tensor = self.out(self.norm(x_bnd[:, 0]))
        return features


class CaptionEncoder(nn.Module):
    """A causal Transformer whose last token represents the caption.

    Args:
        vocab_size: size of the tokenizer's vocabulary.
        context: tokens a caption.
        width: of the Transformer.
        layers: of it.
        heads: of its attention.
        features: size of a caption's embedding.

    Raises:
        UsageError: where heads do not fill the width.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        features: int,
    ) -> None:
        super().__init__()
        _check_heads(width, heads)
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.position = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.ModuleList(Block(width, heads, causal=True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, features, bias=False)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)

    def forward(
        self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]
    ) -> Float[Tensor, "b k"]:
        """Features of captions; `mask` is True on a caption's own tokens.

        Raises:
            Unsupported: for another number of tokens.
        """
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        x_bld = self.tokens(tokens)
        rows = torch.arange(len(tokens), device=tokens.device)
        features: Tensor = self.out(self.norm(x_bld[rows, last]))
        return features

    def tokens(self, tokens: Int[Tensor, "b l"]) -> Float[Tensor, "b l d"]:
        """The vector of every position, before the last normalisation.

        Raises:
            Unsupported: for another number of tokens.
        """
        if tokens.shape[1] != len(self.position):
            raise Unsupported(
                f"this CLIP reads {len(self.position)} tokens, not {tokens.shape[1]}",
                "use its own tokenizer",
            )
        x_bld: Tensor = self.token_embedding(tokens) + self.position
        for block in self.blocks:
            x_bld = block(x_bld)
        return x_bld


def _first_positions(steps: int, width: int) -> Float[Tensor, "t d"]:
    """A row a step; neighbouring steps start similar, as each is rare in training."""
    if not steps:
        return 0.02 * torch.randn(1, width)
    return 0.02 * time_features(torch.arange(steps), width)


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise UsageError(
            f"a width of {width} cannot be divided into {heads} heads",
            "choose a multiple of the heads",
        )
