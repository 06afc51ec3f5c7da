"""The settings of a call: the checkpoint's guidance and sampler, or the caller's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from omegaconf import DictConfig

from genzoo.config.objects import target
from genzoo.config.paths import config_dir
from genzoo.config.schema import check_values
from genzoo.config.values import copied, wrapped
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
) -> DictConfig:
    """The configuration of one call.

    Args:
        cfg: of the model.
        seed: of the samples.
        guidance: the scale; of classifier-free guidance where the checkpoint names none.
        sampler: a name out of configs/sampler.
        steps: of the sampler, the checkpoint's or the named one.

    Raises:
        Unsupported: for what the family cannot do.
        UsageError: for invalid values.
    """
    seed, guidance, steps = (_plain(value) for value in (seed, guidance, steps))
    own = copied(cfg)
    own.seed = seed
    if guidance is not None:
        if own.guidance.name == "none":
            own.guidance = _option("guidance", "classifier_free")
        own.guidance.scale = float(guidance)
    can: Capabilities = target(own.model._target_).capabilities
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
        own.sampler.steps = steps
    check_values(own)
    check_sampling(own)
    return own


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which configurations hold."""
    return value.item() if isinstance(value, np.generic) else value


def _option(group: str, name: str) -> Any:
    """A section as its file in configs/ has it.

    Raises:
        UsageError: where there is none of this name.
    """
    files = sorted((config_dir() / group).glob("*.yaml"))
    found: dict[str, Path] = {file.stem: file for file in files if file.stem != "none"}
    if name not in found:
        raise UsageError(f"there is no {group} {name!r}", f"choose one of {', '.join(found)}")
    return wrapped(yaml.safe_load(found[name].read_text(encoding="utf-8")))
