"""DINOv2 (Oquab et al. 2023, 2304.07193) as an extractor, the network behind FD-DINOv2.

What FD-DINOv2 is was set by Stein et al. 2023 (2306.04675) and their dgm-eval: the ViT-L/14
without registers, images of 224 pixels by Pillow's bicubic resizing, ImageNet's mean and
deviation, and the class token after the last normalisation. torch-fidelity 0.4 has the same
network behind TensorFlow's bilinear resizing, so that its numbers are others for images of other
sizes.

The network is written down here: the published way to it, `torch.hub`, runs whatever code lies at
its address today.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from genzoo.core.errors import UsageError
from genzoo.machine.download import SCHEMES, TYPED, fetch, sha256_of
from genzoo.metrics.features import NetworkExtractor, inference_network
from genzoo.metrics.files import default_cache
from genzoo.metrics.resize import PILLOW, resize_pillow

FILE = "dinov2_vitl14_pretrain.pth"
URL = f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/{FILE}"
SHA256 = "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"  # of that file
INPUT_SIZE, HEAD = 224, 64  # every size of DINOv2 has heads of 64
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORM_EPSILON = 1e-6
OFFSET = 0.1  # by which the reference enlarges the grid that positions are interpolated to


class Attention(nn.Module):
    """Self-attention of all tokens; names as in the weights' file."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_bld: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """Every token from all tokens."""
        b, length, width = x_bld.shape
        qkv = self.qkv(x_bld).view(b, length, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*qkv.unbind(0))
        mixed: Tensor = self.proj(seen.transpose(1, 2).reshape(b, length, width))
        return mixed


class Perceptron(nn.Module):
    """Two layers around a GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_bld: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """Each token by itself."""
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(x_bld)))
        return mixed


class Scale(nn.Module):
    """One factor a feature (LayerScale, Touvron et al. 2021, 2103.17239)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x_bld: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """The tokens, scaled."""
        return x_bld * self.gamma


class Block(nn.Module):
    """Attention and a perceptron, each normalised before, scaled after and beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=NORM_EPSILON) for _ in range(2))
        self.attn, self.mlp = Attention(width), Perceptron(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)

    def forward(self, x_bld: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        """The tokens of the next layer."""
        x_bld = x_bld + self.ls1(self.attn(self.norm1(x_bld)))
        mixed: Tensor = x_bld + self.ls2(self.mlp(self.norm2(x_bld)))
        return mixed


class PatchEmbedding(nn.Module):
    """A token for each patch of pixels."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Row after row."""
        tokens: Tensor = self.proj(images).flatten(2).transpose(1, 2)
        return tokens


class VisionTransformer(nn.Module):
    """DINOv2's network without registers, for square images of one size.

    Args:
        width: d, features of a token.
        depth: number of blocks.
        patch: side of a patch, in pixels.
        grid: patches along a side of the images that the positions are for.
    """

    def __init__(self, *, width: int, depth: int, patch: int, grid: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, width))
        self.patch_embed = PatchEmbedding(width, patch)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(
        self, images: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b 0"]]:
        """The class token after the last normalisation, and no class scores."""
        patches = self.patch_embed(images)
        classes = self.cls_token.expand(len(images), -1, -1)
        x_bld = torch.cat([classes, patches], dim=1) + self.pos_embed
        for block in self.blocks:
            x_bld = block(x_bld)
        pooled = self.norm(x_bld[:, 0])
        return pooled, pooled.new_empty(len(pooled), 0)


def prepare(images: Tensor) -> Tensor:
    """8-bit pixels to the network's input, by ImageNet's mean and deviation."""
    mean, deviation = (
        torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, DEVIATION)
    )
    return (resize_pillow(images, INPUT_SIZE) / 255 - mean) / deviation


def dinov2(path: Path | None, *, device: torch.device) -> NetworkExtractor:
    """The extractor, whose Fréchet distance is FD-DINOv2 where the weights are the published ones.

    Args:
        path: a file of DINOv2's weights, by torch.save or safetensors, of any size of its ViT
            without registers but the giant; None for the published ViT-L/14, fetched once.
        device: where the network runs.

    Raises:
        UsageError: the file is missing or holds something else.
        GenzooError: the weights cannot be fetched.
    """
    file = fetched_weights() if path is None else path
    if not file.is_file():
        raise UsageError(
            f"there are no DINOv2 weights at {file}",
            f"set metrics.weights.dinov2=null to fetch {FILE}, or name the file",
        )
    digest = sha256_of(file)
    network = network_of(_read(file), source=str(file))
    return NetworkExtractor(
        name="dinov2",
        sha256=digest,
        input_size=INPUT_SIZE,
        resizing=PILLOW,
        dim=network.cls_token.shape[-1],
        classes=0,
        prepare=prepare,
        network=inference_network(network, device),
        device=device,
        published=digest == SHA256,
    )


def network_of(state: Mapping[str, Tensor], *, source: str) -> VisionTransformer:
    """The network with the weights in `state`, its positions interpolated to 224 pixels.

    Args:
        state: by the names of the published files.
        source: what the message calls them.

    Raises:
        UsageError: these are weights of something else.
    """
    wrong = UsageError(
        f"{source} does not hold weights of a DINOv2 ViT without registers",
        f"use {FILE}, or the like for vits14 or vitb14",
    )
    own = {name: value for name, value in state.items() if name != "mask_token"}
    blocks = {match[1] for name in own if (match := re.match(r"blocks\.(\d+)\.", name))}
    try:
        width, patch = (
            own["patch_embed.proj.weight"].shape[0],
            own["patch_embed.proj.weight"].shape[-1],
        )
        grid = INPUT_SIZE // patch
        own["pos_embed"] = positions(own["pos_embed"], grid=grid)
        with torch.device("meta"):
            network = VisionTransformer(width=width, depth=len(blocks), patch=patch, grid=grid)
        network.load_state_dict(own, assign=True)
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise wrong from error
    if width % HEAD:
        raise wrong
    return network


def positions(embedding: Float[Tensor, "1 n d"], *, grid: int) -> Float[Tensor, "1 m d"]:
    """The positions of a `grid` by `grid` image, from those of the size that was trained on.

    As the reference does it: bicubic, with a scale that is a tenth of a patch too large.
    """
    trained = round((embedding.shape[1] - 1) ** 0.5)
    if trained == grid:
        return embedding
    own, patches = embedding[:, :1].float(), embedding[:, 1:].float()
    square = patches.reshape(1, trained, trained, -1).permute(0, 3, 1, 2)
    scale = (grid + OFFSET) / trained
    resized = functional.interpolate(square, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([own, resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def fetched_weights(*, cache: Path | None = None, url: str | None = None) -> Path:
    """The published weights (1.2 GB) in the user's cache, fetched on first use.

    Args:
        cache: the folder; None for `default_cache`.
        url: where to fetch them; None for the published address.

    Raises:
        GenzooError: they cannot be fetched, or what came is not what was published.
    """
    file = (cache or default_cache()) / FILE
    if not file.is_file():
        fetch(
            url or URL,
            file,
            sha256=SHA256,
            remedy=f"download it elsewhere and set metrics.weights.dinov2=<folder>/{FILE}",
            schemes=SCHEMES if url is None else TYPED,
        )
    return file


def _read(file: Path) -> dict[str, Tensor]:
    """The tensors in a file; nothing in it is executed."""
    remedy = f"use {FILE}, or the same weights as safetensors"
    try:
        return dict(load_file(file))
    except SafetensorError:
        pass
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise UsageError(f"{file} does not hold weights alone", remedy) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UsageError(f"{file} does not hold weights alone", remedy)
    return state
