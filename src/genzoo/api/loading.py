"""`genzoo.load`: from the name of a checkpoint to a model that samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import DictConfig

from genzoo.api.isolation import undisturbed
from genzoo.api.model import Model
from genzoo.config.paths import config_dir
from genzoo.config.schema import check_values
from genzoo.config.values import wrapped
from genzoo.core.device import chosen_device
from genzoo.core.errors import UsageError
from genzoo.run import loading
from genzoo.run.devices import check_precision
from genzoo.weights import checkpoint, released, saved

# Several networks are released under one word. The one that samples by itself is meant: only it
# is of use without another model; the others are loaded by their files.
SAMPLING: Mapping[str, Any] = {
    "families": ("glide",),
    "settings": {"stage": "base", "inpaint": False},
}
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def load(
    word: str | Path,
    *,
    device: str | torch.device = "auto",
    precision: str = "auto",
    output: str | Path = "outputs",
    weights_dir: str | Path | None = None,
    verbose: bool = False,
) -> Model:
    """A trained model, ready to sample.

    Nothing is written and the global random generators stay as they are. Weights are fetched only
    for the word `openai`.

    Args:
        word: what `checkpoint=` takes on the command line: `zoo/NAME`, a run folder, a file,
            `last` for the newest run below `output`, or `openai` for GLIDE's released base.
        device: `cpu`, `cuda`, `cuda:1`, a `torch.device`, or `auto` for a GPU where there is one.
        precision: `32-true`, `bf16-mixed` or `16-mixed`; `auto` as on the command line:
            `bf16-mixed` on GPUs that compute in bfloat16, `32-true` elsewhere.
        output: where runs are written, for `last`.
        weights_dir: where OpenAI's files lie; None to have them fetched.
        verbose: whether the model says what it does, as the command line does.

    Raises:
        UsageError: where there is no such checkpoint, device or precision.
        GenzooError: for a damaged file, or weights that cannot be fetched.

    Examples:
        >>> model = genzoo.load("zoo/glide_16")
        >>> model.sample("a red heart", seed=1)[0].save("heart.png")
    """
    where = chosen_device(device)
    if precision not in PRECISIONS:
        raise UsageError(
            f"there is no precision {precision!r}", f"write one of {', '.join(PRECISIONS)}"
        )
    if not isinstance(word, str | Path):
        raise UsageError(
            f"{type(word).__name__} names no checkpoint", "give a string or a path: 'zoo/glide_16'"
        )
    with undisturbed(verbose=verbose):
        path = _find(str(word), output=output, weights_dir=weights_dir)
        sections = saved.admitted(checkpoint.configuration(path), path=path)
        cfg = wrapped(
            {
                **sections,
                "checkpoint": str(path),
                "output": str(output),
                "weights_dir": None if weights_dir is None else str(weights_dir),
                "task": {"name": "load", "distributed": False},
                "strategy": {"name": "auto"},
                "trainer": {
                    **_trainer(),
                    "gpus": int(where.type == "cuda"),
                    "precision": precision,
                },
            }
        )
        check_values(cfg)
        check_precision(cfg)
        _find_scorer(cfg)
        found, read = loading.trained_model(cfg)
        return Model(cfg, found, read, device=where, verbose=verbose)


def _find(word: str, *, output: str | Path, weights_dir: str | Path | None) -> Path:
    if released.claimed(word):
        return released.locate(
            word,
            key="checkpoint",
            **SAMPLING,
            task="sample",
            weights_dir=weights_dir,
        )
    return checkpoint.find(word, output=output)


def _trainer() -> Mapping[str, Any]:
    """The section that says where and how precisely networks compute."""
    file = config_dir() / "trainer" / "default.yaml"
    section: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return section


def _find_scorer(cfg: DictConfig) -> None:
    """Put down which file guides, for a model that was trained to be guided by one."""
    if cfg.guidance.get("checkpoint") is not None:
        from genzoo.run.scorers import find_scorer

        word = cfg.guidance.checkpoint
        cfg.guidance.checkpoint = find_scorer(word, output=cfg.output, weights_dir=cfg.weights_dir)
