"""The settings of a call: the caller's, or else the checkpoint's and the commands' defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from genzoo.config.objects import target
from genzoo.config.paths import config_dir
from genzoo.config.schema import check_values
from genzoo.config.schema.keys import STEPS
from genzoo.config.values import copied, wrapped
from genzoo.core.arguments import number, whole
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.types import Capabilities
from genzoo.run.check import check_sampling


def chosen(
    cfg: DictConfig,
    *,
    seed: int,
    guidance: float | None = None,
    sampler: str | None = None,
    steps: int | str | None = None,
    scorer: str | None = None,
) -> DictConfig:
    """The configuration of one call.

    Args:
        cfg: of the model.
        seed: of the samples.
        guidance: the scale; of classifier-free guidance where the checkpoint names none.
        sampler: a name out of configs/sampler.
        steps: of the sampler, the checkpoint's or the named one.
        scorer: what the scorer that guides is known by.

    Raises:
        Unsupported: for what the family cannot do.
        UsageError: for invalid values.
    """
    own = copied(cfg)
    own.seed = whole(seed, name="seed", least=0)
    can: Capabilities = target(own.model._target_).capabilities
    _choose_guidance(own, can, guidance, scorer)
    _choose_sampler(own, can, sampler, steps)
    check_values(own)
    check_sampling(own)
    return own


def default(task: str, key: str) -> Any:
    """What a command does where nothing is typed: the value in configs/task."""
    file = config_dir() / "task" / f"{task}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))[key]


def checked_steps(steps: object, *, name: str = "steps") -> int | str:
    """Steps of a sampler: a number of 2 or more, or a choice as `diffusion.schedule.respace` has.

    Raises:
        UsageError: for anything else.
    """
    if isinstance(steps, str):
        if not re.fullmatch(STEPS, steps):
            raise UsageError(
                f"{name}={steps!r} is no choice of steps", f"write {name}=20 or {name}='fast27'"
            )
        return steps
    return whole(steps, name=name, least=2)


def _choose_guidance(
    own: DictConfig, can: Capabilities, scale: float | None, scorer: str | None
) -> None:
    asked = "guidance" if scorer is None else "scorer"
    if (scale is not None or scorer is not None) and not can.guidance:
        raise Unsupported(f"model={own.model.name} takes no {asked}=", f"leave {asked}= away")
    if scorer is not None:
        own.guidance = _option("guidance", "classifier")
        own.guidance.checkpoint = scorer
    elif scale is not None and own.guidance.name == "none":
        own.guidance = _option("guidance", "classifier_free")
    if scale is not None:
        own.guidance.scale = number(scale, name="guidance")
    elif own.guidance.get("scale") == "tuned":
        raise UsageError(
            "this model's guidance scale was to be tuned by task=evaluate",
            "give a number, such as the one that its results.json has: guidance=3",
        )


def _choose_sampler(
    own: DictConfig, can: Capabilities, sampler: str | None, steps: int | str | None
) -> None:
    if (sampler is not None or steps is not None) and not can.samplers:
        what = "sampler" if sampler is not None else "steps"
        raise Unsupported(
            f"model={own.model.name} samples in one step and takes no {what}=",
            f"leave {what}= away",
        )
    if sampler is not None and sampler != own.sampler.name:
        own.sampler = _option("sampler", sampler)
    if steps is not None:
        if own.sampler.name == "none":
            raise UsageError("steps= needs a sampler", "name one as well: sampler='dpm_solver'")
        own.sampler.steps = checked_steps(steps)


def _option(group: str, name: object) -> Any:
    """A section as its file in configs/ has it.

    Raises:
        UsageError: where there is none of this name.
    """
    files = sorted((config_dir() / group).glob("*.yaml"))
    found: dict[object, Path] = {file.stem: file for file in files if file.stem != "none"}
    if not isinstance(name, str) or name not in found:
        known = ", ".join(map(str, found))
        raise UsageError(f"there is no {group} {name!r}", f"choose one of {known}")
    return wrapped(yaml.safe_load(found[name].read_text(encoding="utf-8")))
