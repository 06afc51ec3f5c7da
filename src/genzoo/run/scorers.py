"""Scorers, for guidance and for metrics: genzoo's own and released ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from genzoo.config.objects import target
from genzoo.config.values import plain
from genzoo.contrastive.image_text import ImageTextModel, as_image_text_model, as_scorer
from genzoo.core.errors import UsageError
from genzoo.diffusion.guidance import Classifier, Scorer
from genzoo.machine.download import sha256_of
from genzoo.models.base import GenerativeModel, identity
from genzoo.models.scoring import ScoringModel
from genzoo.run import check
from genzoo.run.build import build_chosen
from genzoo.run.devices import device
from genzoo.run.loading import with_averaged_weights
from genzoo.text.stored import read_tokenizer
from genzoo.weights import saved
from genzoo.weights.checkpoint import Checkpoint, find, read
from genzoo.weights.scorer_sources import check_whole, source_of

TUNED = "tuned"  # instead of a scale: found by task=evaluate


def is_tuned(cfg: DictConfig) -> bool:
    """Whether the guidance scale has to be found."""
    return bool(cfg.guidance.get("scale") == TUNED)


def build_guidance(cfg: DictConfig, *, where: torch.device | None = None) -> Any:
    """The guidance, for the argument `guidance` of `GenerativeModel.sample`.

    At a scale of 1 where it has to be tuned first.

    Args:
        cfg: the prepared configuration.
        where: the device of the model; None for the command's.

    Raises:
        UsageError: for a model that is no scorer, another one than was asked for, or a noise-aware
            one of images of another size.
    """
    if is_tuned(cfg):  # what can be checked before the scale is known
        cfg = copy.deepcopy(cfg)
        cfg.guidance.scale = 1.0
    if cfg.guidance.name != "classifier":
        return build_chosen(cfg.guidance, identity)
    word = cfg.guidance.checkpoint
    model = load_scorer(word, output=cfg.output, weights_dir=cfg.weights_dir)
    guidance = classifier_guidance(model, cfg)
    model.to(device(cfg) if where is None else where)
    return guidance


def classifier_guidance(model: ImageTextModel | GenerativeModel, cfg: DictConfig) -> Classifier:
    """Guidance by a scorer, at the scale of the configuration.

    Args:
        model: as `load_scorer` returns it.
        cfg: the prepared configuration; `guidance.checkpoint` names the scorer in messages.

    Raises:
        UsageError: as `build_guidance`.
    """
    word, asked, size = cfg.guidance.checkpoint, cfg.guidance.scorer, cfg.data.image_size
    scorer = as_scorer(model)
    if not isinstance(scorer, Scorer):
        raise UsageError(
            f"guidance.checkpoint={word} scores no images",
            f"train one that does: {' or '.join(check.guiding())}",
        )
    found = getattr(scorer, "kind", type(scorer).__name__)
    if asked not in ("auto", found):
        raise UsageError(
            f"guidance.scorer={asked} was asked for, and guidance.checkpoint={word} is a {found}",
            "name another checkpoint, or leave guidance.scorer away",
        )
    own = model.image_size
    if scorer.noise_aware and own != size:
        raise UsageError(
            f"guidance.checkpoint={word} scores noisy images of {own} px, "
            f"and the model samples {size} px",
            f"train one with data.image_size={size}",
        )
    return Classifier(scorer, float(cfg.guidance.scale))


def build_image_text_model(word: str, cfg: DictConfig) -> ImageTextModel:
    """The model of images and text that a configuration names, on the device to use.

    Args:
        word: as for `find_scorer`.
        cfg: the prepared configuration.

    Raises:
        UsageError: for a model of another kind.
    """
    model = load_scorer(word, output=cfg.output, weights_dir=cfg.weights_dir)
    return as_image_text_model(model, word=word).to(device(cfg))


def find_scorer(word: str, *, output: str | Path, weights_dir: str | Path | None) -> str:
    """Resolve a word for a scorer: to a file, a folder, or the word itself.

    Args:
        word: as for `checkpoint.find`, or as `weights.scorer_sources` know it.
        output: where runs are written.
        weights_dir: where released files lie; None to have them fetched.

    Raises:
        UsageError: where there is none.
        GenzooError: where it cannot be fetched.
    """
    source = source_of(word)
    if source is not None:
        return source.find(word, weights_dir=weights_dir)
    return str(find(word, output=output))


def load_scorer(
    word: str, *, output: str | Path, weights_dir: str | Path | None
) -> ImageTextModel | GenerativeModel:
    """The scorer, or any other model that a checkpoint holds, on the CPU.

    Raises:
        UsageError, GenzooError: where there is none, or it cannot be read.
    """
    source = source_of(word)
    if source is not None:
        return source.load(word, weights_dir=weights_dir)
    path = find(word, output=output)
    check_whole(path)
    checkpoint = read(path)
    own = saved.configuration(checkpoint.config, path=path)
    return scorer_of(with_averaged_weights(own, checkpoint), checkpoint)


def scorer_of(model: GenerativeModel, checkpoint: Checkpoint) -> ImageTextModel | GenerativeModel:
    """What guides and scores of a trained model; a model that scores nothing as it is."""
    if not isinstance(model, ScoringModel):
        return model
    found: ImageTextModel | GenerativeModel = model.scorer(
        read_tokenizer(checkpoint.about["tokenizer"]),
        name=checkpoint.name,
        sha256=sha256_of(checkpoint.path),
    )
    return found


def scorer_sha256(word: str, *, output: str | Path, weights_dir: str | Path | None) -> str:
    """The SHA-256 of a scorer's weights, in hexadecimal.

    Raises:
        UsageError, GenzooError: where there is none, or it cannot be read.
    """
    source = source_of(word)
    if source is not None:
        return source.sha256(word, weights_dir=weights_dir)
    return sha256_of(find(word, output=output))


def guidance_words(cfg: DictConfig) -> str:
    """The guidance, its scale and the family's own settings, as stamps and images name them."""
    scale = f" {cfg.guidance.scale}" if "scale" in cfg.guidance else ""
    interval = list(cfg.guidance.get("interval", [0.0, 1.0]))
    part = "" if interval == [0.0, 1.0] else f" between {interval[0]:g} and {interval[1]:g}"
    if cfg.guidance.get("checkpoint") is not None:
        digest = scorer_sha256(
            cfg.guidance.checkpoint, output=cfg.output, weights_dir=cfg.weights_dir
        )
        part += f" by {digest[:12]}"
    family: type[GenerativeModel] = target(cfg.model._target_)
    own = family.sampling_words(plain(cfg.model))
    if own:
        part += f"; {own}"
    tuned = OmegaConf.select(cfg, "run.tuned")
    if tuned is not None:
        part += f", {tuned}"
    return f"{cfg.guidance.name}{scale}{part}"
