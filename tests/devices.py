"""A GPU without a GPU, and a watch for what would make the host wait for one.

`on_fake_cuda` gives a model whose weights lie on a CUDA device of which only shapes and devices
are real: whatever mixes devices raises, on any machine. `Watched` sees every operation, on fake
tensors and on real ones, in backward passes too, and refuses those at which the host waits:
reading a number, results whose shape depends on numbers, and copies from a device to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genzoo.core.noise import Noise
from genzoo.core.types import Batch

M = TypeVar("M", bound=nn.Module)

READING = {
    "_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "nonzero_numpy",
    "masked_select", "unique_dim", "_unique2", "unique_consecutive", "_assert_scalar",
}  # fmt: skip
BY_MASKS = {"index", "index_put", "index_put_", "_index_put_impl_"}


class HostWaits(AssertionError):
    """The host would wait for the device here."""


class Watched(TorchDispatchMode):
    """Refuses operations at which a host waits for its device.

    Args:
        copies: whether copies to a device are refused too: each waits for the queue to be empty,
            unless it says `non_blocking`.
    """

    def __init__(self, *, copies: bool = True) -> None:
        super().__init__()
        self.copies = copies

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.split(".")[0]
        if name in READING or (name in BY_MASKS and _masks(args[1])):
            raise HostWaits(f"{func} reads numbers")
        if self.copies and name in BY_MASKS and _elsewhere(args[0], args[1]):
            raise HostWaits(f"{func} copies indices from the host")
        result = func(*args, **kwargs)
        if name in ("_to_copy", "copy_", "to"):
            self._copied(func, args, kwargs, result)
        return result

    def _copied(self, func: Any, args: Sequence[Any], kwargs: Any, result: Any) -> None:
        source = args[1] if func.__name__.startswith("copy_") else args[0]
        start, end = source.device.type, result.device.type
        if start == end:
            return
        if end == "cpu":
            raise HostWaits(f"{func} copies to the host")
        patient = kwargs.get("non_blocking") or (len(args) > 2 and args[2] is True)
        if self.copies and not patient:
            raise HostWaits(f"{func} copies from the host")


def _masks(indices: Any) -> bool:
    tensors = [index for index in tree_leaves(indices) if isinstance(index, Tensor)]
    return any(index.dtype in (torch.bool, torch.uint8) for index in tensors)


def _elsewhere(values: Tensor, indices: Any) -> bool:
    tensors = [index for index in tree_leaves(indices) if isinstance(index, Tensor)]
    return any(index.device != values.device for index in tensors)


@contextmanager
def no_host_reads() -> Iterator[None]:
    """What a `Watched` does not see on a CPU, whose numbers are read without an operation."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("tolist", "numpy", "__array__"):
            patch.setattr(Tensor, name, _refused(name))
        yield


def _refused(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise HostWaits(f"{name} reads numbers")

    return refuse


@contextmanager
def fake_cuda(
    mode: FakeTensorMode | None = None, *, copies: bool = True, reads: bool = False
) -> Iterator[FakeTensorMode]:
    """A CUDA device on which everything has its shape and nothing is computed.

    Gradients cannot be computed there; `autograd.grad` gives tensors of the right shapes.

    Args:
        mode: of another visit, whose tensors are wanted again.
        copies: whether copies from the host are refused, see `Watched`.
        reads: whether copies to the host are let through; numbers there are none to be read.
    """

    def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        asked = [inputs] if isinstance(inputs, Tensor) else inputs
        assert all(output.device.type == "cuda" for output in tree_leaves(outputs))
        return tuple(torch.empty_like(one) for one in asked)

    mode = mode or FakeTensorMode(allow_non_fake_inputs=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        mode,
        nullcontext() if reads else Watched(copies=copies),
    ):
        patch.setattr(torch.autograd, "grad", grad)
        yield mode


def on_fake_cuda(module: M) -> M:
    """Its weights and buffers put on the fake device, within `fake_cuda`."""
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                fake = nn.Parameter(_there(weight), requires_grad=weight.requires_grad)
                part._parameters[name] = fake
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = _there(buffer)
    return module


def batch_there(rows: int = 4, size: int = 16) -> Batch:
    """Captioned images on the fake device."""
    there = partial(torch.empty, device="cuda")
    return Batch(
        image=there(rows, 3, size, size),
        caption=tuple("abcdefgh"[:rows]),
        tokens=there(rows, 32, dtype=torch.long),
        token_mask=there(rows, 32, dtype=torch.bool),
        label=there(rows, dtype=torch.long),
        index=there(rows, dtype=torch.long),
    )


def noise_there(batch: Batch, *names: int) -> Noise:
    """The noise of a batch on the fake device."""
    return Noise.of(7, batch.index, *names, device="cuda")


def _there(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
