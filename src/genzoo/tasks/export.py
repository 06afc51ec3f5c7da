"""task=export: a trained model as one small file with its card, to be handed on."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genzoo.api.card import card_text
from genzoo.core.errors import UsageError
from genzoo.core.files import write_whole
from genzoo.machine.console import status
from genzoo.models.base import parameter_count
from genzoo.run import loading
from genzoo.weights import exported


def run(cfg: DictConfig) -> dict[str, float]:
    """Write `file` and, beside it, a card with the same name in Markdown."""
    path = Path(cfg.file).expanduser()
    if path.suffix != ".safetensors":
        raise UsageError(f"file={cfg.file} is no safetensors file", "end its name in .safetensors")
    _check_free(path, cfg)
    model, checkpoint = loading.trained_model(cfg)
    if "data_fingerprint" not in checkpoint.about:
        raise UsageError(
            f"{checkpoint.path} was not trained by genzoo, which knows nothing to say of it",
            "hand on the file itself",
        )
    text = card_text(path.stem, checkpoint, parameter_count(model))
    exported.write(path, checkpoint.about, checkpoint.ema)
    card = _card_of(path)
    write_whole(card, text)
    megabytes = path.stat().st_size / 1e6
    status(f"{path}: {megabytes:.2f} MB; {card}")
    return {"megabytes": megabytes}


def _check_free(path: Path, cfg: DictConfig) -> None:
    """Whether the file and its card may be written.

    Raises:
        UsageError: where the checkpoint itself lies there, or another file and no `overwrite`.
    """
    if Path(cfg.checkpoint).resolve() == path.resolve():
        raise UsageError(f"file={cfg.file} is the checkpoint itself", "choose another name")
    there = [str(file) for file in (path, _card_of(path)) if file.exists()]
    if there and not cfg.overwrite:
        raise UsageError(
            f"{' and '.join(there)} would be written over",
            "choose another file=, or say overwrite=true",
        )


def _card_of(path: Path) -> Path:
    return path.with_suffix(".md")
