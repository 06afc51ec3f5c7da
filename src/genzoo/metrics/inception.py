"""The network behind FID and Inception Score, from torch-fidelity, with the published weights."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from genzoo.core.errors import UsageError
from genzoo.core.noise import split_seed
from genzoo.machine.download import SCHEMES, TYPED, fetch, sha256_of
from genzoo.metrics.features import NetworkExtractor, inference_network
from genzoo.metrics.files import default_cache
from genzoo.metrics.resize import TF1, resize_tf1

FILE = "weights-inception-2015-12-05-6726825d.pth"
# Of that file; its name carries the first digits, as file names of torch.hub do.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INPUT_SIZE, DIM, CLASSES = 299, 2048, 1008


def inception(path: Path | None, *, device: torch.device) -> NetworkExtractor:
    """Inception v3 of 2015-12-05, whose numbers may be called FID, Inception Score and KID.

    Args:
        path: the file with the weights; None for the cached one, fetched if it is not there.
        device: where the network runs.

    Raises:
        UsageError: `path` does not exist, or holds other weights than the published ones.
        GenzooError: the weights cannot be fetched. There is no substitute: another network's
            numbers would not be FID.
    """
    file = fetched_weights() if path is None else path
    if not file.is_file():
        raise UsageError(
            f"there are no Inception weights at {file}",
            "set metrics.weights.inception=null to fetch them, or name the file",
        )
    if sha256_of(file) != SHA256:
        raise UsageError(
            f"{file} does not hold the published Inception weights (its sha256 differs)",
            f"remove it and fetch {FILE} again with metrics.weights.inception=null",
        )
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(f"{file} does not hold weights alone", f"use {FILE}") from error
    return inception_extractor(
        state, name="inception", sha256=SHA256, published=True, device=device
    )


def inception_extractor(
    state: dict[str, Tensor], *, name: str, sha256: str, published: bool, device: torch.device
) -> NetworkExtractor:
    """An extractor around Inception v3 with the weights in `state`."""
    return NetworkExtractor(
        name=name,
        sha256=sha256,
        input_size=INPUT_SIZE,
        resizing=TF1,
        dim=DIM,
        classes=CLASSES,
        prepare=prepare,
        network=inference_network(_Trunk(_network(state)), device),
        device=device,
        published=published,
    )


def prepare(images: Tensor) -> Tensor:
    """8-bit pixels to the network's input: TF1 resizing, then (x - 128) / 128."""
    return resize_tf1(images.float(), INPUT_SIZE).sub_(128.0).div_(128.0)


class _Trunk(nn.Module):
    """The network from its first convolution on: pooled features and scores without bias.

    The published Inception Score leaves the bias of the last layer out.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        children = dict(network.named_children())
        self.fc = cast(nn.Linear, children.pop("fc"))
        self.body = nn.Sequential(*children.values())

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.body(inputs).flatten(1)
        return pooled, nn.functional.linear(pooled, self.fc.weight)


def _empty_network() -> nn.Module:
    """torch-fidelity's network on the meta device: shapes alone, nothing unpickled or drawn."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class WithoutWeights(FeatureExtractorInceptionV3):  # type: ignore[misc]
        # The constructor unpickles any file it is given; it gets an empty one, made here.
        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            pass

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.device("meta"):
        network = WithoutWeights("inception", ["2048"], feature_extractor_weights_path=empty)
    return cast(nn.Module, network)


def _network(state: dict[str, Tensor]) -> nn.Module:
    network = _empty_network()
    try:
        nn.Module.load_state_dict(network, state, assign=True)
    except RuntimeError as error:
        raise UsageError(
            "these are not weights of torch-fidelity's Inception v3",
            f"use {FILE} from torch-fidelity's releases",
        ) from error
    return network


def fetched_weights(*, cache: Path | None = None, url: str | None = None) -> Path:
    """The published weights in the user's cache, fetched on first use and checked by SHA-256.

    Args:
        cache: the folder; None for `default_cache`.
        url: where to fetch them; None for the address in torch-fidelity's source.

    Raises:
        GenzooError: they cannot be fetched, or what came is not what was published.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    file = (cache or default_cache()) / FILE
    if not file.is_file():
        fetch(
            url or URL_INCEPTION_V3,
            file,
            sha256=SHA256,
            remedy=f"download it elsewhere and set metrics.weights.inception=<folder>/{FILE}",
            schemes=SCHEMES if url is None else TYPED,
        )
    return file


def random_state(seed: int) -> dict[str, Tensor]:
    """Random weights for tests of the arithmetic; metrics with them are never called FID.

    He-initialised convolutions from one generator, then batch-norm moments measured on noise
    images: without these the depths make all images look the same.
    """
    generator = torch.Generator().manual_seed(split_seed(seed, "inception", "weights"))
    state = {
        name: _random_values(name, value, generator)
        for name, value in _empty_network().state_dict().items()
    }
    network = _network(state)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain average of what comes
    coarse = torch.rand(4, 3, 12, 12, generator=generator).mul_(255).to(torch.uint8)
    with torch.no_grad():
        _Trunk(network.train())(prepare(coarse))
    return network.state_dict()


def _random_values(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    value = torch.zeros(like.shape, dtype=like.dtype)
    if value.ndim >= 2:
        return value.normal_(generator=generator).mul_((2.0 / value[0].numel()) ** 0.5)
    return value.fill_(1) if name.endswith(("bn.weight", "running_var")) else value


def random_inception(seed: int, *, device: torch.device | str = "cpu") -> NetworkExtractor:
    """An extractor with `random_state`, called ``inception_random``."""
    return inception_extractor(
        random_state(seed),
        name="inception_random",
        sha256=f"random weights of seed {seed}",
        published=False,
        device=torch.device(device),
    )
