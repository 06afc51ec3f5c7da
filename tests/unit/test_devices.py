"""What finds tensors left behind and hosts that wait does find them; trainings have none.

A training step runs whole here, backward pass, clipping and optimiser included, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError

from genzoo.config.composition import compose
from genzoo.core.types import Batch
from genzoo.data.datamodule import TextImageDataModule
from genzoo.lit.adversarial import AdversarialModule
from genzoo.lit.callbacks import Budget, ImageCounter
from genzoo.lit.module import GenerativeModule
from genzoo.lit.trainer import build_trainer
from genzoo.metrics import domain, inception
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.features import NetworkExtractor
from genzoo.models.adversarial import AdversarialModel
from genzoo.run.build import build_model
from tests.devices import HostWaits, Watched, fake_cuda, no_host_reads, on_fake_cuda

# `torch.autocast("cuda")` says that there is no CUDA.
pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")

READS: dict[str, Callable[[Tensor], object]] = {
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x.sum()),
    "bool": lambda x: bool(x.any()),
    "item": lambda x: x[0].item(),
    "tolist": lambda x: x.tolist(),
    "a choice": lambda x: 1 if x[0] > 0 else 2,
    "a mask": lambda x: x[x > 0],
    "filling by a mask": lambda x: x.masked_fill(x > 0, 1.0)[x > 1],
    "nonzero": lambda x: (x > 0).nonzero(),
    "unique": lambda x: x.unique(),
}
COPIES: dict[str, Callable[[Tensor], object]] = {
    "to the host": lambda x: x.cpu(),
    "a number": lambda x: torch.tensor(1.0, device=x.device),
    "a number like others": lambda x: x.new_tensor(1.0),
    "indices": lambda x: x[torch.arange(2)],
    "a table": lambda x: torch.ones(3).to(x.device),
}


@pytest.mark.parametrize("name", READS)
def test_reading_is_found_on_the_fake_device_and_on_the_cpu(name: str) -> None:
    with fake_cuda(), pytest.raises(HostWaits):
        READS[name](torch.empty(3, device="cuda"))
    with Watched(), no_host_reads(), pytest.raises(HostWaits):
        READS[name](torch.rand(3))


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found(name: str) -> None:
    with fake_cuda(), pytest.raises(HostWaits):
        COPIES[name](torch.empty(3, device="cuda"))


class Forgetful(nn.Module):
    """Leaves a tensor on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x + torch.arange(3)


def test_a_tensor_left_behind_is_found() -> None:
    with fake_cuda(), pytest.raises(FakeTensorDeviceMismatchError):
        on_fake_cuda(Forgetful())(torch.empty(3, device="cuda"))


def test_what_needs_no_host_passes() -> None:
    def fine(x: Tensor) -> Tensor:
        rows = torch.arange(len(x), device=x.device)
        return torch.where(x > 0, x[rows], 0.0) * 2.0 + torch.full((), 1.0, device=x.device)

    with fake_cuda():
        assert fine(torch.empty(3, device="cuda")).device.type == "cuda"
    with Watched(), no_host_reads():
        fine(torch.rand(3))


def test_batches_come_without_waiting(batch: Batch) -> None:
    cuda = torch.device("cuda")
    with fake_cuda(), pytest.raises(HostWaits):
        batch.to(cuda)
    with fake_cuda():
        module = TextImageDataModule.__new__(TextImageDataModule)
        there = module.transfer_batch_to_device(batch, cuda, 0)
        assert {there.image.device.type, there.index.device.type} == {"cuda"}


def test_features_are_taken_where_the_network_is() -> None:
    """Images come from the host; all else is there already."""
    extractor = build_extractor("efficientnet_lite0")
    assert isinstance(extractor, NetworkExtractor)
    with fake_cuda(copies=False):
        on_fake_cuda(extractor.network)
        there = replace(extractor, device=torch.device("cuda"))
        features = there(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
        assert features.pooled.device.type == "cuda"
        for prepare in (inception.prepare, partial(domain.prepare, size=32)):
            images = torch.empty(2, 3, 16, 16, dtype=torch.uint8, device="cuda")
            assert prepare(images).device.type == "cuda"


class Watching(pl.Callback):
    """Lets nothing wait from a batch's beginning to its end; the last callback."""

    def __init__(self) -> None:
        self.steps = 0
        self._inside = ExitStack()

    def on_train_batch_start(self, *arguments: Any) -> None:
        self._inside.enter_context(no_host_reads())
        self._inside.enter_context(Watched())

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._inside.close()
        self.steps += 1

    def on_exception(self, *arguments: Any) -> None:
        self._inside.close()


UNET = ("model.unet.multiples=[1]", "model.unet.attention=[1]")
TRAINED: dict[str, tuple[str, ...]] = {
    "vae": (),
    "vae scaled": ("trainer.precision=16-mixed", "optimizer.clip=1.0"),
    "autoencoder": ("optimizer.accumulate=2",),
    "flow": ("model/arch=tarflow",),
    "diffusion": ("model/process=discrete", *UNET),
    "glide": ("model.inpaint=true", *UNET),
    "noisy_classifier": UNET,
    "clip": ("model.image.layers=1", "model.chunk=2"),
    "unclip": ("model.clip.image.layers=1", "model.decoder.unet.multiples=[1]"),
    "gan": ("model.augmentation.mode=adaptive", "model.gradient_penalty=10.0"),
    "gan scaled": ("trainer.precision=16-mixed", "optimizer.clip=1.0"),
}


def trained(name: str, folder: Path, batch: Batch, *, model: Any = None) -> Watching:
    """A few steps through the Lightning trainer as a run has them, watched."""
    cfg = compose(
        f"model={name.split()[0]}",
        "data.image_size=16",
        "trainer.gpus=0",
        "optimizer.batch_size=6",
        f"+run.folder={folder}",
        *TRAINED[name],
    )
    model = model or build_model(cfg)
    game = isinstance(model, AdversarialModel)
    module = (AdversarialModule if game else GenerativeModule)(
        model, optimizer=cfg.optimizer, ema=cfg.ema, seed=0, about={}
    )
    watching = Watching()
    callbacks = [ImageCounter(), Budget(images=24, minutes=None), watching]
    trainer = build_trainer(cfg, callbacks, game=game)
    trainer.fit(module, torch.utils.data.DataLoader([batch] * 6, batch_size=None))  # type: ignore[arg-type]
    return watching


@pytest.mark.parametrize("name", TRAINED)
def test_no_training_step_reads_a_number(name: str, tmp_path: Path, batch: Batch) -> None:
    assert trained(name, tmp_path, batch).steps == 4


def test_a_loss_that_is_read_is_found(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genzoo.models.ae import Autoencoder

    own = Autoencoder.losses

    def reads(self: Autoencoder, batch: Batch, **arguments: Any) -> Any:
        losses = own(self, batch, **arguments)
        assert float(losses.total.mean()) >= 0
        return losses

    monkeypatch.setattr(Autoencoder, "losses", reads)
    with pytest.raises(HostWaits):
        trained("autoencoder", tmp_path, batch)


def test_a_backward_pass_that_reads_is_found(tmp_path: Path, batch: Batch) -> None:
    class Reads(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, slope: Tensor) -> Tensor:
            return slope * float(slope.abs().max() > 0)

    with Watched(), no_host_reads(), pytest.raises(HostWaits):
        Reads.apply(torch.rand(3, requires_grad=True)).sum().backward()
