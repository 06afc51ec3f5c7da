"""How far each image's k-th nearest neighbour is; of real images computed once, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo.core.errors import GenzooError
from genzoo.machine.console import status
from genzoo.metrics.files import atomic_write
from genzoo.metrics.nearest import nearest

FORMAT = 1


def squared_radii(
    x: Float[Tensor, "n d"],
    ks: Sequence[int],
    *,
    device: torch.device,
    what: str | None = None,
) -> list[Float[Tensor, " n"]]:
    """For each k the squared distance of every row to its k-th nearest other row, in float64."""
    # The row itself is the nearest, at rank 0.
    found = nearest(x, x, k=max(ks) + 1, exact=ks, device=device, what=what)
    return [found.squared[:, k].contiguous() for k in ks]


def kept_radii(
    x: Float[Tensor, "n d"], ks: Sequence[int], *, device: torch.device, cache: Path | None
) -> list[Float[Tensor, " n"]]:
    """As `squared_radii`, read from the cache if they were computed before.

    They depend on the features and on k, and on nothing else: the file is named by a hash of both.

    Args:
        x: features of real images.
        ks: which neighbours.
        device: where they are computed.
        cache: the folder; None to keep nothing.
    """
    what = "radii of real images"
    if cache is None:
        return squared_radii(x, ks, device=device, what=what)
    digest = blake2b(f"{FORMAT} {tuple(x.shape)} {tuple(ks)} {x.dtype}".encode(), digest_size=16)
    digest.update(x.contiguous().numpy().data)
    file = cache / f"radii-{digest.hexdigest()}.safetensors"
    kept = _load(file, (len(ks), len(x)))
    if kept is None:
        kept = torch.stack(squared_radii(x, ks, device=device, what=what))
        try:
            with atomic_write(file) as part:
                save_file({"squared": kept}, part)
        except (OSError, SafetensorError, GenzooError) as error:
            status(f"  {what} are not kept for the next time ({error})")
    return list(kept)


def _load(file: Path, shape: tuple[int, int]) -> Tensor | None:
    """The radii in the file, or None if it is not there or not what it should be."""
    try:
        kept = load_file(file)["squared"]
    except (OSError, SafetensorError, KeyError):
        return None
    return kept if kept.shape == shape and kept.dtype == torch.float64 else None
