"""What a frozen encoder says of a data set's images: made once, kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from omegaconf import DictConfig
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genzoo.core.image import to_float
from genzoo.core.precision import exact
from genzoo.data.cache import cache_home
from genzoo.data.dataset import TextImageData
from genzoo.machine import distributed
from genzoo.machine.console import Progress
from genzoo.metrics.files import atomic_write
from genzoo.models.base import GenerativeModel
from genzoo.models.frozen import FrozenEncoder, HasFrozenEncoder
from genzoo.run import devices

BATCH = 256  # images at once
WAY = 1  # how images are embedded; another number whenever that changes, for other files


def cache_embeddings(
    cfg: DictConfig, models: Sequence[GenerativeModel], data: TextImageData
) -> None:
    """Give models that are trained on embeddings those of all images; others need none.

    They are kept in half precision in a file that is named by the encoder, the data and the
    encoder's weights, which have to be the final ones by now. On each machine the first
    process makes it.

    Args:
        cfg: the prepared configuration.
        models: with the same encoder; they share what they know.
        data: whose images.
    """
    knowing = [model for model in models if isinstance(model, HasFrozenEncoder)]
    if not knowing:
        return
    encoder = knowing[0].frozen_encoder
    home = cache_home(cfg.data.get("cache")) / "embeddings"
    file = home / f"{WAY}-{encoder.name}-{data.fingerprint}-{_digest(encoder.network)}.safetensors"
    if not file.is_file() and distributed.local_rank() == 0:
        with atomic_write(file) as part:
            save_file({"vectors": _embedded(encoder, data, devices.device(cfg))}, part)
    distributed.barrier()
    # On the device, where batches look them up by indices that the host never sees.
    vectors = load_file(file)["vectors"].to(devices.device(cfg))
    for model in knowing:
        model.known = vectors


@torch.no_grad()
def _embedded(encoder: FrozenEncoder, data: TextImageData, device: torch.device) -> Tensor:
    """The features of all images, shape (images, features), in half precision."""
    encoder.network.to(device)
    parts = []
    with Progress("embedding the images", len(data)) as progress, exact(device):
        for start in range(0, len(data), BATCH):
            rows = range(start, min(start + BATCH, len(data)))
            parts.append(encoder.encode(to_float(data.images(list(rows))).to(device)).half().cpu())
            progress.at(rows.stop)
    return torch.cat(parts)


def _digest(network: nn.Module) -> str:
    """A checksum over all weights."""
    found = hashlib.blake2b(digest_size=8)
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
