"""Reconstruction of held-out images through a latent space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.lab.trained import LoadedModel
from genzoo.core.image import to_float, to_uint8
from genzoo.flows.transform import Transform


@dataclass(frozen=True)
class Trip:
    """Images and their reconstructions.

    Attributes:
        real: 8-bit held-out images.
        back: the reconstructions, in [-1, 1].
    """

    real: Tensor
    back: Tensor

    def numbers(self) -> dict[str, float]:
        """Deviations in the range [-1, 1], and the share of 8-bit values that did not change."""
        error = (self.back.double() - to_float(self.real).double()).abs()
        same = (to_uint8(self.back) == self.real).double()
        return {
            "largest": float(error.max()),
            "mean": float(error.mean()),
            "identical": float(same.mean()),
        }


def trip(trained: LoadedModel, *, count: int) -> Trip:
    """Held-out images encoded and decoded by the trained model."""
    indices = trained.data.spread("validation", count).tolist()
    real = trained.data.images(indices)
    cond = trained.data.condition(indices, trained.tokenizer)

    def work(part: slice) -> Tensor:
        pixels = to_float(real[part]).to(trained.device)
        return trained.model.reconstruct(pixels, cond[part].to(trained.device))

    return Trip(real, trained.in_batches(work, len(real)))


def precisions(trained: LoadedModel, *, count: int) -> dict[str, float]:
    """Largest deviation of the flow's bare map and its inverse, given captions, by precision.

    Without the rounding and clipping at the end of `reconstruct`.
    """
    model = trained.model
    assert isinstance(model.arch, Transform)
    indices = trained.data.spread("validation", count).tolist()
    real = to_float(trained.data.images(indices))
    cond = trained.data.condition(indices, trained.tokenizer)
    found = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        arch = model.arch.to(dtype)

        def work(part: slice, arch: Transform = arch, dtype: torch.dtype = dtype) -> Tensor:
            own = cond[part].to(trained.device)
            features = model.text(own.tokens, own.token_mask).pooled.to(dtype)
            pixels = real[part].to(trained.device, dtype)
            return arch.inverse(arch(pixels, features)[0], features) - pixels

        found[name] = float(trained.in_batches(work, len(real)).abs().max())
    model.arch.float()
    return found
