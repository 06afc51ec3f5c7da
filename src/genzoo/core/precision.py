"""The precision in which networks compute, and the parts that need full precision.

Three choices are offered, by Lightning's names: `32-true`, `bf16-mixed` and `16-mixed`. In the
mixed ones weights stay float32 and autocast rounds the operands of convolutions and matrix
products. Beside that, GPUs from Ampere on can round float32 operands to 10 bits of mantissa
(TF32). Both are stated for each part, by contexts: `Precision` for networks that are trained or
sampled from, `full` for the last layers of networks, losses and arithmetic on
predictions, `exact` for parts that even TF32 would spoil (flows, features of metrics).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

# The dtype to which autocast rounds, of each choice.
DTYPES = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class Precision:
    """How the networks of a run compute, in training and in sampling.

    Attributes:
        name: one of `DTYPES`.
        device: type of the device, cpu or cuda.
        tf32: whether float32 products and convolutions may be rounded to TF32, where a GPU can.
    """

    name: str
    device: str
    tf32: bool

    @classmethod
    def choose(cls, name: str, *, gpu: bool, tf32: bool) -> Precision:
        """Resolve `auto`: bf16-mixed on a GPU with native bfloat16, else 32-true."""
        if name == "auto":
            name = "bf16-mixed" if gpu and native_bf16() else "32-true"
        able = gpu and torch.cuda.get_device_capability() >= (8, 0)
        return cls(name, "cuda" if gpu else "cpu", tf32 and able)

    @property
    def dtype(self) -> torch.dtype | None:
        """To which autocast rounds; None for float32."""
        return DTYPES[self.name]

    def __str__(self) -> str:
        """The precision as stamps and results name it: `bf16-mixed`, `32-true with TF32`."""
        return f"{self.name} with TF32" if self.tf32 and self.dtype is None else self.name

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Autocast and TF32 as chosen."""
        with rounding(tf32=self.tf32), self.autocast():
            yield

    def autocast(self) -> torch.autocast:
        """Autocast as chosen, without a cache of rounded weights that a step would outdate."""
        return torch.autocast(
            self.device, self.dtype, enabled=self.dtype is not None, cache_enabled=False
        )


def native_bf16() -> bool:
    """Whether the GPU has native bfloat16; others emulate it, slowly."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


@contextmanager
def rounding(*, tf32: bool) -> Iterator[None]:
    """Whether float32 products and convolutions on GPUs may be rounded to TF32.

    Set by torch's older switches: these keep the newer ones (`fp32_precision`) in step, while
    torch.compile reads both kinds, and torch raises where they disagree.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def full(like: Tensor) -> torch.autocast:
    """Without autocast, on a tensor's device; earlier results of autocast have to be cast.

    Bfloat16 has 8 bits: pixels lose a quarter of a grey level, a tanh near 1 all its slope.
    """
    return torch.autocast(like.device.type, enabled=False)


def unscaled(like: Tensor) -> torch.autocast:
    """For unscaled gradients: small ones would underflow in float16, so float32 instead.

    Bfloat16 has the range of float32, and stays.
    """
    kind = like.device.type
    chosen = torch.get_autocast_dtype(kind)
    on = torch.is_autocast_enabled(kind) and chosen != torch.float16
    return torch.autocast(kind, chosen, enabled=on, cache_enabled=False)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Float32 throughout: no autocast, no TF32."""
    with rounding(tf32=False), torch.autocast(device.type, enabled=False):
        yield
