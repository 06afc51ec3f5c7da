"""The Lightning module of families with one loss and one optimiser."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from genzoo.core.noise import Noise, split_seed
from genzoo.core.philox import look
from genzoo.core.types import Batch, Losses
from genzoo.lit.ema import EMA
from genzoo.models.base import GenerativeModel

SETTINGS = ("initial_lr", "betas", "weight_decay")  # of an optimiser's groups of weights


class RunningMeans:
    """Running means of named values, summed on the device.

    Reading a number from a GPU synchronises with it; so sums stay there until a curve needs them.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int | Tensor] = {}

    def add(self, values: Mapping[str, Tensor], *, finite_only: bool = False) -> None:
        """Add one step's scalars.

        Args:
            values: by name.
            finite_only: whether to leave out values that are not finite, of a skipped step.
        """
        for name, value in values.items():
            value = value.detach()
            count: int | Tensor = 1
            if finite_only:
                count = made = value.isfinite()
                value = torch.where(made, value, 0.0)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + count

    def read(self) -> dict[str, float]:
        """The means since the last call; none for a value that was always left out."""
        counts = {name: int(count) for name, count in self._counts.items()}
        means = {name: float(self._sums[name]) / count for name, count in counts.items() if count}
        self._sums, self._counts = {}, {}
        return means

    def state(self) -> dict[str, dict[str, Any]]:
        """What has been added since the last `read`, for a checkpoint."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore a state."""
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])


def named(losses: Losses, objective: str, *, of: int) -> dict[str, Tensor]:
    """The total and the parts by the names of their curves.

    Args:
        losses: of one objective.
        objective: its name.
        of: how many objectives the model has.
    """
    values = {"total": losses.total, **losses.parts}
    return values if of == 1 else {f"{objective}/{name}": v for name, v in values.items()}


@lru_cache
def _know_losses() -> None:
    """FSDP looks for the tensors to hook its backward pass to; `Losses` has to be transparent."""
    torch.export.register_dataclass(Losses)


class GenerativeModule(pl.LightningModule):
    """losses -> mean -> step -> moving average; counts images seen and training seconds.

    Args:
        model: to train.
        optimizer: the section `optimizer` of the configuration.
        ema: the section `ema`.
        seed: of the run; with the images seen and an item's index it seeds the item's noise.
        about: metadata of the checkpoint (`genzoo.weights.checkpoint`), plain data.
    """

    def __init__(
        self,
        model: GenerativeModel,
        *,
        optimizer: Mapping[str, Any],
        ema: Mapping[str, Any],
        seed: int,
        about: dict[str, Any],
    ) -> None:
        super().__init__()
        self.model = model
        self.ema: EMA[GenerativeModel] = EMA(model, **ema)
        self.optimizer_settings = dict(optimizer)
        self.seed, self.about = seed, about
        self.images_seen = 0
        self.seconds = 0.0
        self.meter = RunningMeans()
        self._since: float | None = None
        self._step_images = 0
        self._steps = 0
        self.whole = True  # whether no batch has been accumulated since the last step
        self.stepping = False  # whether a step is changing weights
        self._before: dict[str, Any] = {}  # the training time in a checkpoint of the last step

    def configure_model(self) -> None:
        """Shard weights and their average under strategy=fsdp (FSDP2: each tensor by itself)."""
        if not isinstance(self.trainer.strategy, ModelParallelStrategy):
            return
        assert self.device_mesh is not None
        _know_losses()
        for model in (self.model, self.ema.model):
            model.to(memory_format=torch.contiguous_format)  # all that can be sharded
            fully_shard(model, mesh=self.device_mesh["data_parallel"])
            for method in ("losses", "sample", "log_prob", "encode", "decode"):
                register_fsdp_forward_method(model, method)

    def configure_optimizers(self) -> Any:
        return self.build_optimizer(self.model.parameters(), lr=self.optimizer_settings["lr"])

    def build_optimizer(
        self, parameters: Iterable[nn.Parameter], *, lr: float
    ) -> torch.optim.Optimizer:
        """AdamW with the run's settings; the learning rate warms up to `lr`."""
        settings = self.optimizer_settings
        optimizer = torch.optim.AdamW(
            parameters,
            lr=lr,
            betas=tuple(settings["betas"]),
            weight_decay=settings["weight_decay"],
            fused=True,  # one kernel for all parameters, on CPUs as well
        )
        for group in optimizer.param_groups:
            group["initial_lr"] = lr
        return optimizer

    def on_train_start(self) -> None:
        """Use the settings of this command, not those of a checkpoint's state."""
        look(self.device)  # no step synchronises for it
        made = self.configure_optimizers()
        fresh = made if isinstance(made, list) else [made]
        for optimizer, wanted in zip(self.trainer.optimizers, fresh, strict=True):
            for group, settings in zip(optimizer.param_groups, wanted.param_groups, strict=True):
                group.update({key: settings[key] for key in SETTINGS})

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.whole:
            self._before, self.whole = self._progress(), False
        # Layers with randomness of their own (dropout) use torch's generator: seeded by the images
        # seen, a resumed run samples the same as an uninterrupted one.
        torch.manual_seed(split_seed(self.seed, "layers", self.images_seen, self.global_rank))
        settings = self.optimizer_settings
        warm = min(
            1.0, (self.images_seen + settings["batch_size"]) / max(settings["warmup_images"], 1)
        )
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * warm

    def noise(self, batch: Batch) -> Noise:
        """One stream an image, a new one each time an image is seen."""
        return Noise.of(self.seed, batch.index, "train", self.images_seen, device=self.device)

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The gradient scaler of float16; None in other precisions."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def note(self, values: Mapping[str, Tensor]) -> None:
        """Add one step's scalars to the curves.

        The values of a step that overflows under a scaler, and is skipped, are left out.
        """
        self.meter.add(values, finite_only=self.scaler is not None)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        losses = self.model.losses(batch, noise=self.noise(batch))
        loss = losses.total.mean()
        self.note({name: v.mean() for name, v in named(losses, "model", of=1).items()})
        return loss

    def count(self, batch: Batch) -> None:
        """After a batch: count its images; after a step update the moving average."""
        images = len(batch) * self.trainer.world_size
        self._step_images += images
        self.images_seen += images
        if self.trainer.global_step == self._steps:
            return  # gradients are still being accumulated
        self._steps = self.trainer.global_step
        self.reshard()
        self.ema.update(self.model, images_seen=self.images_seen, step_images=self._step_images)
        self._step_images = 0
        self.whole, self.stepping = True, False

    def reshard(self) -> None:
        """Reshard gathered weights, if weights are sharded."""
        for model in (self.model, self.ema.model):
            if isinstance(model, FSDPModule):
                model.reshard()

    def start_clock(self) -> None:
        """Start the training clock."""
        self._since = time.monotonic()

    def stop_clock(self) -> None:
        """Stop the training clock, for validation or saving."""
        self.seconds = self.elapsed()
        self._since = None

    def elapsed(self) -> float:
        """Seconds spent training, over all resumptions."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self.seconds + running

    def kept_images(self) -> int:
        """The images seen in whole steps, as a checkpoint written now has them."""
        kept: int = (self._progress() if self.whole else self._before)["images_seen"]
        return kept

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The state of the last whole step.

        Batches that are being accumulated are seen again after resuming.
        """
        progress = self._progress() if self.whole else self._before
        checkpoint["meter"] = progress["meter"]
        checkpoint["genzoo"] = {
            **self.about,
            "images_seen": progress["images_seen"],
            "seconds": self.elapsed(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = checkpoint["genzoo"]["images_seen"]
        self.seconds = checkpoint["genzoo"]["seconds"]
        if "meter" in checkpoint:
            self.meter.restore(checkpoint["meter"])
        # Lightning would count batches within a step; the images seen determine the rest.
        checkpoint.pop("loops", None)

    def _progress(self) -> dict[str, Any]:
        return {"images_seen": self.images_seen, "meter": self.meter.state()}
