"""The upsampler of a cascade."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from genzoo.config.second_stage import KEY
from genzoo.core.errors import UsageError
from genzoo.models.base import GenerativeModel
from genzoo.run.loading import compiled, with_averaged_weights
from genzoo.weights import released, saved
from genzoo.weights.checkpoint import Checkpoint, find, read


def second_stage(cfg: DictConfig, base: Checkpoint) -> tuple[GenerativeModel, Checkpoint] | None:
    """The upsampler of the base's samples, if the command asks for one.

    Raises:
        UsageError: for a model that is no upsampler, or one of images of another size.
    """
    word = cfg[KEY]
    if word is None:
        return None
    path = released.second_stage(word, task=cfg.task.name, weights_dir=cfg.weights_dir)
    checkpoint = read(path or find(word, output=cfg.output))
    own = saved.configuration(checkpoint.config, path=checkpoint.path)
    own.sampler = sampler_section(cfg[f"{KEY}_steps"])
    own.trainer = cfg.trainer  # this command's
    model = with_averaged_weights(own, checkpoint)
    check_fits(model, word=word, size=base.config["data"]["image_size"])
    compiled(own, model)
    return model, checkpoint


def sampler_section(steps: int | str) -> dict[str, Any]:
    """The section `sampler` of an upsampler.

    Args:
        steps: of ddim, as for `Sampling`.
    """
    return {
        "_target_": "genzoo.diffusion.sampling.Sampling",
        "name": "ddim",
        "method": "ddim",
        "steps": steps,
        "temperature": 0.997,  # the reference's notebooks scale x_T by it
    }


def check_fits(model: GenerativeModel, *, word: str, size: int) -> None:
    """Refuse what does not upsample the base's samples.

    Args:
        model: the upsampler.
        word: that named it.
        size: height and width of the base's samples.

    Raises:
        UsageError: for a model that is no upsampler, or one of images of another size.
    """
    if "low_res" not in model.capabilities.conditions:
        raise UsageError(f"{KEY}={word} is no {KEY}", f"train one: {released.SECOND_STAGE}")
    if model.low_size != size:
        raise UsageError(
            f"{KEY}={word} upsamples {model.low_size} px, and the base samples {size} px",
            f"train one with model.low_size={size}",
        )


def words(stage: tuple[GenerativeModel, Checkpoint] | None) -> dict[str, str]:
    """The metadata of the upsampler, for images."""
    return {KEY: "none" if stage is None else stage[1].mention}
