"""The key that names the second stage of a cascade, and what `auto` means there."""

from __future__ import annotations

from collections.abc import Collection

from omegaconf import DictConfig

KEY = "upsampler"


def decide(cfg: DictConfig, *, released: Collection[str]) -> None:
    """Decide `auto`: what was released with the base where that is named by its word, else none.

    Args:
        cfg: of a command, which is changed; not every one has the key.
        released: words for released weights.
    """
    if cfg.get(KEY) == "auto":
        cfg[KEY] = cfg.checkpoint if cfg.checkpoint in released else None


def asked_for(cfg: DictConfig) -> bool:
    """Whether a command has a second stage."""
    return cfg.get(KEY) is not None
