"""Scaled gradients: unscaled before they are clipped and noted, and overflows that do no harm."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from genzoo.config.composition import compose
from genzoo.core.errors import GenzooError
from genzoo.core.types import Batch
from genzoo.lit.adversarial import AdversarialModule
from genzoo.lit.callbacks import AfterStep, ImageCounter
from genzoo.lit.health import LEAST_SCALE, Health
from genzoo.lit.module import GenerativeModule, RunningMeans
from genzoo.lit.trainer import build_trainer
from genzoo.run import build

FAMILIES = ("vae", "gan")  # one optimiser, and two
Each = Callable[[GenerativeModule], None]


class Steps(AfterStep):
    """Ends a training after some steps, and looks at each."""

    def __init__(self, count: int, each: Each | None = None) -> None:
        self.left, self.each = count, each

    def after_step(self, trainer: pl.Trainer, module: GenerativeModule, batch: Batch) -> None:
        self.left -= 1
        trainer.should_stop = self.left <= 0
        if self.each is not None:
            self.each(module)


class Norms(pl.Callback):
    """The norm of what each step of an optimiser is made from, one list an optimiser."""

    def __init__(self) -> None:
        self.found: dict[int, list[float]] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for k, optimizer in enumerate(trainer.optimizers):
            optimizer.register_step_post_hook(lambda o, *_, k=k: self._note(k, o))

    def _note(self, number: int, optimizer: torch.optim.Optimizer) -> None:
        slopes = [
            p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None
        ]
        norm = torch.linalg.vector_norm(torch.cat([s.flatten() for s in slopes]))
        self.found.setdefault(number, []).append(float(norm))


def trained(
    name: str,
    precision: str,
    batch: Batch,
    tmp_path: Path,
    *callbacks: pl.Callback,
    clip: float | None = 0.1,
    steps: int = 3,
    each: Each | None = None,
    scale: float = 16.0,
) -> GenerativeModule:
    """A family's module after a few steps on the same batch."""
    cfg = compose(
        f"model={name}",
        "data.image_size=16",
        "trainer.gpus=0",
        f"trainer.precision={precision}",
        f"optimizer.clip={'null' if clip is None else clip}",
        f"optimizer.batch_size={len(batch)}",
        "optimizer.warmup_images=0",
    )
    whole = OmegaConf.create({**OmegaConf.to_container(cfg), "run": {"folder": str(tmp_path)}})
    assert isinstance(whole, DictConfig)
    model = build.build_model(cfg)
    wrapper = AdversarialModule if name == "gan" else GenerativeModule
    module = wrapper(
        model,
        optimizer=OmegaConf.to_container(cfg.optimizer, resolve=True),
        ema=OmegaConf.to_container(cfg.ema, resolve=True),
        seed=0,
        about={},
    )
    trainer = build_trainer(
        whole, [ImageCounter(), Steps(steps, each), *callbacks], game=name == "gan"
    )
    if precision == "16-mixed":
        scaler = trainer.precision_plugin.scaler
        scaler.load_state_dict({**scaler.state_dict(), "scale": scale})
    loader = DataLoader([batch] * steps, batch_size=None)
    trainer.fit(module, loader)
    return module


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("name", FAMILIES)
def test_steps_are_made_from_clipped_gradients(
    name: str, precision: str, batch: Batch, tmp_path: Path
) -> None:
    norms = Norms()
    module = trained(name, precision, batch, tmp_path, norms, clip=1e-3)
    assert len(norms.found) == (2 if name == "gan" else 1)
    for found in norms.found.values():
        assert found == pytest.approx([1e-3] * 3, rel=1e-3)
    assert all(isinstance(o, torch.optim.AdamW) for o in module.trainer.optimizers)
    assert all(o.defaults["fused"] for o in module.trainer.optimizers)


@pytest.mark.parametrize("name", FAMILIES)
def test_scaled_gradients_are_as_large_as_others(name: str, batch: Batch, tmp_path: Path) -> None:
    first = []
    for precision in ("32-true", "16-mixed"):
        norms = Norms()
        module = trained(name, precision, batch, tmp_path, norms, clip=None, steps=1)
        first.append([found[0] for found in norms.found.values()])
        values = module.meter.read()
        for side, norm in zip(("discriminator", "generator"), first[-1], strict=False):
            if name == "gan":  # the curve shows what the step was made from
                assert values[f"{side}/gradient_norm"] == pytest.approx(norm, rel=1e-4)
    assert first[1] == pytest.approx(first[0], rel=0.02)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_that_overflows_is_not_made_and_harms_nothing(
    name: str, batch: Batch, tmp_path: Path
) -> None:
    weights: list[list[torch.Tensor]] = []
    scales: list[float] = []

    def look(module: GenerativeModule) -> None:
        weights.append([p.detach().clone() for p in module.model.parameters()])
        assert module.scaler is not None
        scales.append(module.scaler.get_scale())

    module = trained(name, "16-mixed", batch, tmp_path, each=look, steps=4, scale=2.0**126)
    before = [*build.build_model(compose(f"model={name}", "data.image_size=16")).parameters()]
    assert scales[0] < 2.0**126
    assert all(torch.equal(a, b) for a, b in zip(before, weights[0], strict=True))
    # Images that were seen count, and the moving average is where the weights are.
    assert module.images_seen == 4 * len(batch)
    for parameter in module.ema.model.parameters():
        assert parameter.isfinite().all()
    for own, average in zip(weights[-1], module.ema.model.parameters(), strict=True):
        torch.testing.assert_close(own, average)
    values = module.meter.read()
    assert all(math.isfinite(value) for value in values.values())
    assert "gradient_norm" not in " ".join(values)  # no step was made


def test_training_goes_on_when_the_scale_fits_again(batch: Batch, tmp_path: Path) -> None:
    start = build.build_model(compose("model=vae", "data.image_size=16"))
    module = trained("vae", "16-mixed", batch, tmp_path, steps=30, scale=2.0**40)
    assert module.scaler is not None
    assert module.scaler.get_scale() < 2.0**40
    pairs = zip(start.parameters(), module.model.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
    assert all(p.isfinite().all() for p in module.model.parameters())


def test_the_way_back_of_two_optimisers_is_not_under_autocast(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none on the way back of one, either: it would round what `full` keeps from it."""
    found: list[bool] = []
    backward = AdversarialModule.manual_backward

    def watched(module: AdversarialModule, loss: torch.Tensor, *rest: object) -> None:
        loss.register_hook(lambda _: found.append(torch.is_autocast_enabled("cpu")))
        backward(module, loss, *rest)

    monkeypatch.setattr(AdversarialModule, "manual_backward", watched)
    trained("gan", "bf16-mixed", batch, tmp_path, steps=2)
    assert found == [False] * len(found)
    assert len(found) >= 4


def test_a_scale_that_only_falls_ends_the_training(tmp_path: Path) -> None:
    health = Health(tmp_path / "last.ckpt")
    health.check_scale(LEAST_SCALE, images=64)
    with pytest.raises(GenzooError, match=r"trainer\.precision=32-true"):
        health.check_scale(LEAST_SCALE / 2, images=64)


def test_a_meter_leaves_out_what_is_no_number_only_if_told_to() -> None:
    meter = RunningMeans()
    for value in (1.0, math.inf, 3.0):
        meter.add({"kept": torch.tensor(value)})
        meter.add({"left": torch.tensor(value)}, finite_only=True)
    meter.add({"never": torch.tensor(math.nan)}, finite_only=True)
    assert meter.read() == {"kept": math.inf, "left": 2.0}
