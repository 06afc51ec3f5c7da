"""Cases of the folder that GENZOO_GOLDEN names: what the reference put out, and how near to be."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genzoo.diffusion.network import TextUNet
from genzoo.weights.convert import clip, glide

COMMITTED = Path(__file__).parent / "golden"
BESIDE = Path(__file__).parents[2].parent / "shared" / "golden"


def folders() -> list[Path]:
    """The named folder, or the one beside the checkout; and the few cases that are committed."""
    named = os.environ.get("GENZOO_GOLDEN")
    wanted = [Path(named) if named else BESIDE, COMMITTED]
    return [folder for folder in wanted if folder.is_dir()]


@dataclass(frozen=True)
class Case:
    """One case: its description and its tensors."""

    path: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        return json.loads(self.path.read_text())

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return load_file(self.path.parent / self.about["tensors"])

    def model(self, name: str = "model") -> TextUNet:
        """Our network with the case's weights."""
        described = self.about["models"][name]
        return glide.from_reference(self.state(described), described["hyperparameters"]).eval()

    def state(self, described: Mapping[str, Any], prefix: str = "sd_prefix") -> dict[str, Tensor]:
        """The reference's state dict of a described model; it may lie in another case's file."""
        begin = described[prefix]
        stored = load_file(self.path.parent / described["sd_file"])
        return {k.removeprefix(begin): v for k, v in stored.items() if k.startswith(begin)}

    def clip(self, name: str = "clip") -> clip.Encoders:
        """Our two encoders with the case's weights."""
        described = self.about["models"][name]
        states = (self.state(described, f"sd_prefix_{part}") for part in ("image", "text"))
        encoders = clip.from_reference(*states, described["config"])
        encoders.image.eval()
        encoders.text.eval()
        return encoders

    def inputs(self, call: Mapping[str, Any]) -> dict[str, Tensor]:
        return {name: self.tensors[key] for name, key in call.get("inputs", {}).items()}

    def check(self, key: str, got: Tensor, part: Any = ...) -> None:
        """Assert that a tensor is as near to (a part of) the stored one as the case demands."""
        expected = self.tensors[key][part]
        assert got.shape == expected.shape, f"{key}: {tuple(got.shape)} {tuple(expected.shape)}"
        if not expected.is_floating_point():
            assert torch.equal(got.to(expected.dtype), expected), key
            return
        limit = self.about["tolerances"][key]
        torch.testing.assert_close(
            got.to(expected.dtype), expected, **limit, msg=lambda text: f"{key}: {text}"
        )


def cases(*kinds: str) -> list[Any]:
    """Parameters for pytest: every case of these kinds; a skipped one where there is none."""
    found = [
        Case(path)
        for folder in folders()
        for path in sorted(folder.glob("*.json"))
        if _kind(path) in kinds
    ]
    if not found:
        reason = f"no golden cases of kind {kinds}: GENZOO_GOLDEN names no folder that has any"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(case, id=f"{_name(case.path.parent)}-{case.path.stem}") for case in found]


def _name(folder: Path) -> str:
    return "committed" if folder == COMMITTED else folder.name


def _kind(path: Path) -> str | None:
    about = json.loads(path.read_text())
    return about.get("kind") if isinstance(about, dict) else None
