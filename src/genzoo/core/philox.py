"""Philox 4x32-10: random words as a function of a key and a counter, without a state.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A key of
64 bits chooses one of 2^64 functions; a function maps a counter of 128 bits to four words of 32
bits. Here the upper half of the counter is always zero, as torch's own kernel has it, so the lower
half, 64 bits, is called the counter.

`philox` is the definition, in operations that run and fuse on any device. `words_` fills a tensor
by torch's kernel where there is one, and by `philox` elsewhere: the words are the same.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Int32, Int64
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

Words = Int64[Tensor, "..."]
LOW = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # increments of the two halves of the key in each round
ROUNDS = 10
KERNEL_DEVICES = ("cpu", "cuda")


def philox(
    counter: tuple[Words, Words, Words, Words], key: tuple[Words, Words]
) -> tuple[Words, Words, Words, Words]:
    """The four words of a counter of four words under a key of two (section 3.3 of the paper).

    Words are numbers from 0 to 2^32 - 1 in int64. Products of two of them fill 64 bits; the sign
    that int64 gives the highest bit vanishes when shift and mask take the upper half, so the
    arithmetic is exact on every device. All arguments broadcast against one another.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product_0, product_1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0 = ((product_1 >> 32) ^ c1 ^ k0) & LOW
        c2 = ((product_0 >> 32) ^ c3 ^ k1) & LOW
        c1, c3 = product_1, product_0  # their upper halves are masked away where it matters
        k0, k1 = k0 + WEYL[0], k1 + WEYL[1]
    return c0, c1 & LOW, c2, c3 & LOW


def places(
    key: Int64[Tensor, " b"] | int,
    counter: Int64[Tensor, " b"] | int,
    *,
    like: Int64[Tensor, " b"],
) -> Int64[Tensor, "b 2"]:
    """Keys beside counters, 64 bits each, a row for each of `like`."""
    pairs = torch.empty(len(like), 2, dtype=torch.int64, device=like.device)
    pairs[:, 0] = key
    pairs[:, 1] = counter
    return pairs


def words_(
    out: Int32[Tensor, "b n"], at: Int64[Tensor, "b 2"], *, kernel: bool = True
) -> Int32[Tensor, "b n"]:
    """Fill rows of `out` with words, four a counter, from the row's key and first counter on.

    Args:
        out: contiguous; holds the 32 bits of each word, so numbers may be negative.
        at: `places`.
        kernel: by torch's kernel where there is one (False: never).
    """
    if kernel and _has_kernel(out.device.type, fake=isinstance(out, FakeTensor)):
        torch.ops.aten._philox_randint_(out, at[:, None].view(torch.uint64), None, None)
        return out
    return out.copy_(_words(at, out.shape[1]))


def keys(at: Int64[Tensor, "b 2"]) -> Int64[Tensor, " b"]:
    """A new key from each of `places`: the first two words there, the lower one first."""
    pair = torch.empty(len(at), 2, dtype=torch.int32, device=at.device)
    return words_(pair, at).view(torch.int64)[:, 0]


def _words(at: Int64[Tensor, "b 2"], count: int) -> Int64[Tensor, "b n"]:
    key, counter = at[:, :1], at[:, 1:]
    position = counter + torch.arange((count + 3) // 4, device=at.device)
    zero = torch.zeros_like(position[:1, :1])
    four = philox(
        (position & LOW, (position >> 32) & LOW, zero, zero), (key & LOW, (key >> 32) & LOW)
    )
    return torch.stack(four, dim=-1).flatten(1)[:, :count]


def look(device: torch.device) -> None:
    """Check the words of a device's kernel now, which the host waits for; once a type of device.

    Otherwise the check precedes the first words that are computed there.
    """
    like = torch.empty(0, device=device)
    _has_kernel(device.type, fake=isinstance(like, FakeTensor))


def _has_kernel(kind: str, *, fake: bool) -> bool:
    if not KERNEL or kind not in KERNEL_DEVICES:
        return False
    # The CPU's was checked on import; a fake tensor has no words to check.
    return kind == "cpu" or fake or _checked(kind)


@cache
def _checked(kind: str) -> bool:
    return _kernel_is_right(kind)


def _kernel_is_right(kind: str = "cpu") -> bool:
    """Whether torch has the kernel and its words are right: it is not a public function."""
    at = torch.tensor([[0, 0], [2**40 + 3, 2**33 - 1]], device="cpu")
    try:
        there = at.to(kind)
        found = torch.empty(2, 6, dtype=torch.int32, device=kind)
        torch.ops.aten._philox_randint_(found, there[:, None].view(torch.uint64), None, None)
        return torch.equal(found.cpu(), _words(at, 6).to(torch.int32))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False


KERNEL = _kernel_is_right()
