"""Features of the data's own domain: a small classifier of a data set's own labels.

An ImageNet network weighs faint noise like losing half the classes; a network that learned the
data's classes does not. It is trained once by a recorded command, and kept with its accuracy
and its hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from genzoo.core import digest
from genzoo.core.errors import GenzooError, UsageError
from genzoo.core.noise import split_seed
from genzoo.metrics.features import NetworkExtractor, inference_network
from genzoo.metrics.files import atomic_write, default_cache
from genzoo.metrics.resize import HALF_PIXEL, resize_half_pixel

DIM = 64
LEAST = 10  # images: of fewer none would be held out to tell the accuracy from
FORMAT = 1


@dataclass(frozen=True)
class DomainRecord:
    """How a domain classifier came about; stored in its file.

    Attributes:
        classes: number of labels.
        input_size: side of the images it was trained on, in pixels.
        accuracy: share of held-out images that it labels right.
        images: number of training images.
        held_out: number of held-out images.
        epochs: passes over the training images.
        seed: of the weights, the split and the order.
        fingerprint: of the data.
        command: what was typed.
        format: version of the file's layout.
    """

    classes: int
    input_size: int
    accuracy: float
    images: int
    held_out: int
    epochs: int
    seed: int
    fingerprint: str
    command: str
    format: int = FORMAT


class DomainNetwork(nn.Module):
    """Three halvings, 64 pooled features, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, 32, 64, DIM)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.last = nn.Linear(DIM, classes)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b 64"], Float[Tensor, "b k"]]:
        """Pooled features and class scores of images in [-1, 1]."""
        x = images
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.max_pool2d(functional.relu(norm(conv(x))), 2)
        pooled = x.mean((2, 3))
        return pooled, self.last(pooled)


def domain_file(fingerprint: str, seed: int, *, cache: Path | None = None) -> Path:
    """Where the classifier of the data called `fingerprint` is kept."""
    return (cache or default_cache()) / f"domain-{fingerprint[:32]}-{seed}.safetensors"


def train_domain_classifier(
    images: UInt8[Tensor, "n 3 h w"],
    labels: Int[Tensor, " n"],
    *,
    seed: int,
    fingerprint: str,
    command: str,
    epochs: int = 5,
    batch_size: int = 128,
    lr: float = 3e-3,
    held_out: float = 0.1,
    cache: Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Path:
    """Train the classifier on a data set's own labels and keep it in the user's cache.

    Args:
        images: 8-bit training images of one size (a memory-mapped tensor will do).
        labels: class numbers from 0.
        seed: of everything random in it; the same seed gives the same file.
        fingerprint: of the data, letters and digits.
        command: what a person types to make this file again.
        epochs: passes over the images.
        batch_size: images a step.
        lr: highest learning rate of the one-cycle schedule.
        held_out: share of the images on which the accuracy is measured.
        cache: the folder; None for the user's cache.
        progress: called with (step, steps, loss).

    Returns:
        The file: `build_extractor("domain", weights=file)` reads it.

    Raises:
        UsageError: there are no labels, or only one class.
    """
    classes = check_classes(len(images), labels)
    generator = torch.Generator().manual_seed(split_seed(seed, "domain", "order"))
    order = torch.randperm(len(images), generator=generator)
    tested = max(1, round(held_out * len(order)))
    test, train = order[:tested], order[tested:]
    network = initialised(classes, seed=seed)
    _fit(
        network,
        images,
        labels,
        train,
        generator=generator,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        progress=progress,
    )
    record = DomainRecord(
        classes=classes,
        input_size=images.shape[-1],
        accuracy=_accuracy(network, images, labels, test),
        images=len(train),
        held_out=len(test),
        epochs=epochs,
        seed=seed,
        fingerprint=fingerprint,
        command=command,
    )
    file = domain_file(fingerprint, seed, cache=cache)
    with atomic_write(file) as part:
        state = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(state, part, metadata={"genzoo": json.dumps(asdict(record))})
    return file


def check_classes(images: int, labels: Int[Tensor, " n"]) -> int:
    """The number of classes that labels tell apart.

    Raises:
        UsageError: there are no labels, not one an image, or only one class.
    """
    classes = int(labels.max()) + 1 if len(labels) else 0
    if images != len(labels) or classes < 2 or int(labels.min()) < 0:
        raise UsageError(
            "this data has no classes for a domain classifier to learn",
            "use metrics=default, or data that has labels (fashion_mnist, shapes)",
        )
    return classes


def initialised(classes: int, *, seed: int) -> DomainNetwork:
    """The network before training: He-initialised from `seed` alone."""
    generator = torch.Generator().manual_seed(split_seed(seed, "domain", "weights"))
    with torch.device("meta"):
        network = DomainNetwork(classes)
    network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network.to(memory_format=torch.channels_last)


def prepare(images: Tensor, size: int) -> Tensor:
    """8-bit pixels to [-1, 1] at the size that the network was trained on."""
    x = images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)
    return resize_half_pixel(x, size)


def _fit(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    rows: Tensor,
    *,
    generator: torch.Generator,
    epochs: int,
    batch_size: int,
    lr: float,
    progress: Callable[[int, int, float], None] | None,
) -> None:
    per_epoch = max(1, len(rows) // batch_size)
    steps = epochs * per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-2)
    network.train()
    for step in range(steps):
        if step % per_epoch == 0:
            rows = rows[torch.randperm(len(rows), generator=generator)]
        chosen = rows[(step % per_epoch) * batch_size :][:batch_size]
        for group in optimizer.param_groups:  # linear warm-up, then linear decay to zero
            group["lr"] = lr * min((step + 1) / (0.1 * steps + 1), 1 - step / steps)
        _, scores = network(prepare(images[chosen], images.shape[-1]))
        loss = functional.cross_entropy(scores, labels[chosen].long())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress(step + 1, steps, loss.item())


@torch.no_grad()
def _accuracy(network: nn.Module, images: Tensor, labels: Tensor, rows: Tensor) -> float:
    network.eval()
    right = 0
    for part in rows.split(256):
        _, scores = network(prepare(images[part], images.shape[-1]))
        right += int((scores.argmax(1) == labels[part]).sum())
    return right / len(rows)


def domain_record(file: Path) -> DomainRecord:
    """What the file says about how it was made.

    Raises:
        UsageError: it is missing, damaged, or no domain classifier.
    """
    remedy = "train one on this data's labels, or use metrics=default"
    if not file.is_file():
        raise UsageError(f"there is no domain classifier at {file}", remedy)
    try:
        with safe_open(file, framework="pt") as content:
            return DomainRecord(**json.loads((content.metadata() or {})["genzoo"]))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UsageError(f"{file} is not a domain classifier", remedy) from error


def load_domain(path: Path | None, *, device: torch.device) -> NetworkExtractor:
    """The extractor in the file `path`.

    Raises:
        UsageError: no file is given, or it cannot be read.
    """
    if path is None:
        raise UsageError(
            "the extractor 'domain' has no weights",
            "set metrics.weights.domain to the file of a trained domain classifier",
        )
    record = domain_record(path)
    with torch.device("meta"):
        network = DomainNetwork(record.classes)
    try:
        with safe_open(path, framework="pt") as content:
            state = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        network.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise GenzooError(f"{path} is damaged", "remove it and train it again") from error
    size = record.input_size
    return NetworkExtractor(
        name="domain",
        sha256=digest.of_weights(state),
        input_size=size,
        resizing=HALF_PIXEL,
        dim=DIM,
        classes=record.classes,
        prepare=lambda images: prepare(images, size),
        network=inference_network(network, device),
        device=device,
        chunk=256,
        trained_on=record.fingerprint,
    )
