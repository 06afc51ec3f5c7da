"""task=fit: train a model, then evaluate it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from genzoo.config.values import escaped
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import rounding
from genzoo.core.types import Batch
from genzoo.data.datamodule import TextImageDataModule
from genzoo.data.dataset import TextImageData
from genzoo.lit.adversarial import AdversarialModule
from genzoo.lit.callbacks import AfterStep, Budget, ImageCounter
from genzoo.lit.checkpointer import Checkpointer
from genzoo.lit.curves import CurveLogger
from genzoo.lit.health import Health
from genzoo.lit.module import GenerativeModule
from genzoo.lit.monitor import Monitor
from genzoo.lit.quality import QualityMonitor
from genzoo.lit.trainer import build_trainer
from genzoo.machine import distributed, provenance, signals
from genzoo.machine.console import status
from genzoo.machine.signals import Interrupted
from genzoo.machine.track import Tracker
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.base import GenerativeModel, parameter_count
from genzoo.run import build, devices, loading, parent, scorers
from genzoo.tasks import embedding, validation
from genzoo.tasks.captions import report_truncation_in
from genzoo.tasks.evaluate import evaluate
from genzoo.tasks.measurable import check_measurable
from genzoo.tasks.quality import quality
from genzoo.tasks.results import Cost
from genzoo.tasks.validation import batches
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import FORMAT, LAST, Checkpoint, load_into

INITIAL_IMAGES = 256  # for weights that start from statistics of the data
CALIBRATION_IMAGES = 4096  # enough for the moments of any latent space here


def run(cfg: DictConfig) -> dict[str, float]:
    """Train, save, evaluate; returns the metrics by name."""
    with _advice("the training had not begun; give the same command again"):
        data = build.build_data(cfg)
        check_measurable(cfg, data)
        # What cannot guide or score is refused before the training, not after it.
        scorers.build_guidance(cfg)
        if cfg.metrics.clip is not None:
            scorers.build_image_text_model(cfg.metrics.clip, cfg)
        checkpoint = loading.load_checkpoint(cfg)
        tokenizer = build.build_tokenizer(cfg, data, checkpoint)
    with Tracker(cfg) as tracker:
        train(cfg, data, tokenizer, tracker=tracker, checkpoint=checkpoint)
        with _advice(f"the training is complete; {_go_on(cfg)}, or measure it: task=evaluate"):
            # What is measured is what was saved; the weights in memory may be sharded.
            distributed.barrier()
            last = escaped(str(Path(cfg.run.folder) / LAST))
            cfg.checkpoint, cfg.run.resume = last, None
            model, trained = loading.trained_model(cfg)
            cost = Cost.of(trained)
            return evaluate(cfg, model, data=data, tokenizer=tokenizer, cost=cost, tracker=tracker)


@contextmanager
def _advice(line: str) -> Iterator[None]:
    """Say how to go on where a signal ends what is within."""
    try:
        yield
    except Interrupted:
        status(line)
        raise


def train(
    cfg: DictConfig,
    data: TextImageData,
    tokenizer: Tokenizer,
    *,
    tracker: Tracker,
    checkpoint: Checkpoint | None = None,
) -> GenerativeModule:
    """Train until the budget is used up; checkpoints/last.ckpt lies in the run's folder.

    Args:
        cfg: the prepared configuration.
        data: what to train on.
        tokenizer: of its captions.
        tracker: where curves and images go.
        checkpoint: to continue from; to begin with its weights, where it has no more; or None.

    Raises:
        Interrupted: after a signal, when the checkpoint has been written.
        GenzooError: when a loss is no longer finite.
    """
    model, checkpoint, origin = _begin(cfg, data, tokenizer, checkpoint)
    about = _about(cfg, data, tokenizer)
    about |= {"origin": origin, "precision": _precisions(cfg, checkpoint)}
    module = _module(cfg, model, about)
    loading.compiled(cfg, module.model, module.ema.model)
    embedding.cache_embeddings(cfg, (module.model, module.ema.model), data)
    report_truncation_in(module.model, data, tokenizer)
    status(f"{cfg.model.name}: {parameter_count(module.model):,} parameters; {cfg.run.folder}")
    budget = Budget(images=cfg.budget.images, minutes=cfg.budget.minutes)
    if checkpoint is None:
        tracker.restart()
    else:
        _resume(cfg, module, checkpoint, budget=budget, tracker=tracker)
    loader = TextImageDataModule(
        data,
        tokenizer,
        batch_size=cfg.optimizer.batch_size // distributed.world(),
        seed=cfg.seed,
        workers=cfg.data.workers,
        start_images=module.images_seen,
    )
    callbacks = _callbacks(cfg, module, data, tokenizer, budget=budget, tracker=tracker)
    trainer = build_trainer(cfg, callbacks, game=isinstance(model, AdversarialModel))
    path = None if checkpoint is None else str(checkpoint.path)
    tf32 = rounding(tf32=devices.precision(cfg).tf32 and not model.exact)
    with signals.listening(), signals.held(), tf32, _rescue(cfg, callbacks[-1]):
        trainer.fit(module, datamodule=loader, ckpt_path=path, weights_only=True)
        module.stop_clock()
        if budget.interrupted or signals.received() is not None:
            what = "trained for" if budget.complete else "stopped after"
            status(f"{what} {module.kept_images():,} images; {_go_on(cfg)}")
            raise Interrupted(signals.received() or signal.SIGTERM)
    return module


def _begin(
    cfg: DictConfig, data: TextImageData, tokenizer: Tokenizer, checkpoint: Checkpoint | None
) -> tuple[GenerativeModel, Checkpoint | None, str | None]:
    """The model as training begins, the checkpoint if its training goes on, and its origin.

    The origin names the weights of another training that this one began with.
    """
    model = build.build_model(cfg)
    origin = parent.load_parent(cfg, model) if checkpoint is None else checkpoint.origin
    _initialise(cfg, model, data, tokenizer, fresh=checkpoint is None)
    if checkpoint is None:
        return model, None, origin
    # Also to go on: what is made of a frozen part is made next.
    load_into(model, checkpoint.weights or checkpoint.ema, path=checkpoint.path)
    if checkpoint.weights:
        build.check_beginning(cfg, model, checkpoint)
        return model, checkpoint, origin
    status(f"a new training from the weights in {checkpoint.path}")
    return model, None, origin or checkpoint.path.name


def _module(cfg: DictConfig, model: GenerativeModel, about: dict[str, object]) -> GenerativeModule:
    """The model with its optimisers and its moving average, for Lightning."""
    kind: type[Any] = (
        AdversarialModule if isinstance(model, AdversarialModel) else GenerativeModule
    )
    module: GenerativeModule = kind(
        model,
        optimizer=OmegaConf.to_container(cfg.optimizer),
        ema=OmegaConf.to_container(cfg.ema),
        seed=cfg.seed,
        about=about,
    )
    return module


def _resume(
    cfg: DictConfig,
    module: GenerativeModule,
    checkpoint: Checkpoint,
    *,
    budget: Budget,
    tracker: Tracker,
) -> None:
    """Count on from a checkpoint.

    Raises:
        UsageError: where the budget is used up.
    """
    start = module.images_seen = checkpoint.about["images_seen"]
    module.seconds = checkpoint.about["seconds"]
    # One that was cut off after its training still has to be measured.
    if budget.done(module) and not cfg.run.get("resume"):
        raise UsageError(
            f"{checkpoint.path} has used up its budget: {start:,} images, "
            f"{module.seconds / 60:.1f} minutes",
            "give a larger budget.images= or budget.minutes=, or measure it: task=evaluate",
        )
    tracker.continue_from(checkpoint.run_folder / "curves.jsonl", images=start)
    status(f"continuing {checkpoint.path} after {start:,} images")


def _callbacks(
    cfg: DictConfig,
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    *,
    budget: Budget,
    tracker: Tracker,
) -> tuple[AfterStep, AfterStep, AfterStep, AfterStep, AfterStep, Checkpointer]:
    """What happens after each step, in this order."""
    last = Path(cfg.run.folder) / LAST
    health = Health(last)
    checkpointer = Checkpointer(
        last,
        minutes=cfg.trainer.checkpoint_minutes,
        prior_batches=partial(_calibration, module, data, tokenizer),
        budget=budget,
        health=health,
    )
    generates = module.model.capabilities.sampling is not None
    return (
        ImageCounter(),
        budget,
        CurveLogger(tracker, every=cfg.trainer.log_images, budget=budget, health=health),
        Monitor(
            tracker,
            every=cfg.trainer.monitor_images,
            look=partial(validation.look, cfg, module, data, tokenizer),
            budget=budget,
            health=health,
        ),
        QualityMonitor(
            tracker,
            at=cfg.metrics.during if generates else (),
            measure=partial(quality, cfg, module, data, tokenizer, scorers.build_guidance(cfg)),
            checkpointer=checkpointer,
            budget=budget,
        ),
        checkpointer,
    )


@contextmanager
def _rescue(cfg: DictConfig, checkpointer: Checkpointer) -> Iterator[None]:
    """Say how to go on with what was saved of a training that fails."""
    try:
        yield
    except Exception:
        if checkpointer.rescued is not None:
            status(f"saved as it was after {checkpointer.rescued:,} images; {_go_on(cfg)}")
        raise


def _go_on(cfg: DictConfig) -> str:
    return f"continue with checkpoint={cfg.run.folder} hydra.run.dir={cfg.run.folder}"


@torch.no_grad()
def _initialise(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    *,
    fresh: bool,
) -> None:
    batch = data.batch(data.spread("train", INITIAL_IMAGES).tolist(), tokenizer)
    model.check(batch)
    if fresh:
        model.data_dependent_init(batch, noise=Noise.of(cfg.seed, batch.index, "initialise"))


def _about(cfg: DictConfig, data: TextImageData, tokenizer: Tokenizer) -> dict[str, object]:
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    return {
        "format": FORMAT,
        "config": {key: value for key, value in config.items() if key != "run"},
        "tokenizer": tokenizer.to_json(),
        "data_fingerprint": data.fingerprint,
        **provenance.software(),
    }


def _precisions(cfg: DictConfig, checkpoint: Checkpoint | None) -> str:
    """In which precision a model was trained, one after the other if that was changed."""
    now = devices.stated_precision(cfg)
    before = None if checkpoint is None else checkpoint.about.get("precision")
    return now if before is None or before.split(", then ")[-1] == now else f"{before}, then {now}"


def _calibration(
    module: GenerativeModule, data: TextImageData, tokenizer: Tokenizer
) -> Iterator[Batch]:
    indices = data.spread("train", CALIBRATION_IMAGES).tolist()
    return batches(module, data, tokenizer, indices)
