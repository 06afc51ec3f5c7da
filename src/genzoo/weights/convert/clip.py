"""The noise-aware CLIP of OpenAI's GLIDE and our two encoders: options and state dicts.

The reference has separate layers for queries, keys and values, and its keys have no bias. Ours are
one layer with a bias for all three: the keys' starts at zero and is dropped in the conversion
back. That is exact, as one number added to the scores of all keys alike cancels in the softmax.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.contrastive.encoders import CaptionEncoder, ImageEncoder
from genzoo.weights.convert.fit import check_fit

StateDict = Mapping[str, Tensor]

# A key of each of the reference's encoders, by which its files are recognised.
KEYS = {"image": "blocks.input.patch_proj", "text": "blocks.input.w_voc"}
CLEAN = "blocks.input.pred_state"  # the first position where there are no steps: one row, flat

NORM = {"g": "weight", "b": "bias"}
LINEAR = {"w": "weight", "b": "bias"}
# The parts of a block: suffixes of their names there and here.
BLOCK = {
    "f_attn.ln": ("norm1", NORM),
    "f_attn.f_c": ("proj", LINEAR),
    "f_mlp.ln": ("norm2", NORM),
    "f_mlp.f_1": ("mlp.0", LINEAR),
    "f_mlp.f_2": ("mlp.2", LINEAR),
}


@dataclass(frozen=True)
class Encoders:
    """Both encoders, which the reference has in two files.

    Attributes:
        image: of noisy images, or of clean ones.
        text: of captions.
    """

    image: ImageEncoder
    text: CaptionEncoder


def build(config: Mapping[str, Any]) -> Encoders:
    """Untrained encoders with the sizes of the reference's config.yaml.

    Raises:
        UsageError: where the numbers are inconsistent.
    """
    return Encoders(image=build_image(config), text=build_text(config))


def build_image(config: Mapping[str, Any]) -> ImageEncoder:
    """The image encoder alone; `n_timesteps` is 0 for one of clean images.

    Raises:
        UsageError: where the numbers are inconsistent.
    """
    return ImageEncoder(
        image_size=config["image_size"],
        patch=config["patch_size"],
        width=config["n_head_image"] * config["n_head_state_image"],
        layers=config["n_xf_blocks_image"],
        heads=config["n_head_image"],
        features=config["n_embd"],
        steps=config["n_timesteps"],
    )


def build_text(config: Mapping[str, Any]) -> CaptionEncoder:
    """The text encoder alone."""
    return CaptionEncoder(
        vocab_size=config["n_vocab"],
        context=config["max_text_len"],
        width=config["n_head_text"] * config["n_head_state_text"],
        layers=config["n_xf_blocks_text"],
        heads=config["n_head_text"],
        features=config["n_embd"],
    )


def from_reference(
    image_state: StateDict, text_state: StateDict, config: Mapping[str, Any]
) -> Encoders:
    """The reference's weights in encoders of ours.

    Args:
        image_state: of the image encoder, by the reference's names.
        text_state: of the text encoder, by the reference's names.
        config: by the names of the reference's config.yaml.

    Raises:
        UsageError: where keys are unknown, missing or of another shape; all are listed.
    """
    return Encoders(
        image=image_from_reference(image_state, config),
        text=text_from_reference(text_state, config),
    )


def image_from_reference(state: StateDict, config: Mapping[str, Any]) -> ImageEncoder:
    """The image encoder alone; arguments and errors as of `from_reference`."""
    encoder = build_image(config)
    _load(encoder, state, "image")
    return encoder


def text_from_reference(state: StateDict, config: Mapping[str, Any]) -> CaptionEncoder:
    """The text encoder alone; arguments and errors as of `from_reference`."""
    encoder = build_text(config)
    _load(encoder, state, "text")
    return encoder


def to_reference(encoder: ImageEncoder | CaptionEncoder) -> dict[str, Tensor]:
    """An encoder's weights by the reference's names and in its layout."""
    state = encoder.state_dict()
    found = {}
    for entry in _entries(encoder):
        parts = state[entry.ours].chunk(len(entry.theirs))
        for name, part in zip(entry.theirs, parts, strict=True):
            if name is not None:
                found[name] = (part[0] if name == CLEAN else part).clone()
    return found


@dataclass(frozen=True)
class _Entry:
    """One weight of ours, and the reference's that are concatenated in it.

    Attributes:
        ours: its name here.
        theirs: names there; None for the bias of keys, which the reference lacks.
    """

    ours: str
    theirs: tuple[str | None, ...]


def _load(encoder: ImageEncoder | CaptionEncoder, state: StateDict, kind: str) -> None:
    shapes = {name: part.shape for name, part in to_reference(encoder).items()}
    check_fit(
        state,
        shapes,
        what=f"these weights are not of such a CLIP's {kind} encoder",
        remedy="check that image and text encoder are not swapped, and that the sizes are right",
    )
    own = encoder.state_dict()
    found = {}
    for entry in _entries(encoder):
        known = [state[name] for name in entry.theirs if name is not None]
        parts = [torch.zeros_like(known[0]) if n is None else state[n] for n in entry.theirs]
        found[entry.ours] = torch.cat(parts).view_as(own[entry.ours])
    encoder.load_state_dict(found)


def _entries(encoder: ImageEncoder | CaptionEncoder) -> Iterator[_Entry]:
    """Every weight of an encoder."""
    if isinstance(encoder, ImageEncoder):
        yield _Entry("first", ("blocks.input.w_t" if encoder.steps else CLEAN,))
        yield _Entry("patches.weight", (KEYS["image"],))
        yield from _layer("blocks.input.ln", "norm_in", NORM)
    else:
        yield _Entry("token_embedding.weight", (KEYS["text"],))
    yield _Entry("position", ("blocks.input.w_pos",))
    for k in range(len(encoder.blocks)):
        there, here = f"blocks.block_{k}", f"blocks.{k}"
        for theirs, (ours, ends) in BLOCK.items():
            yield from _layer(f"{there}.{theirs}", f"{here}.{ours}", ends)
        q, k_, v = (f"{there}.f_attn.f_{part}" for part in "qkv")
        yield _Entry(f"{here}.qkv.weight", (f"{q}.w", f"{k_}.w", f"{v}.w"))
        yield _Entry(f"{here}.qkv.bias", (f"{q}.b", None, f"{v}.b"))
    yield from _layer("blocks.output.ln", "norm", NORM)
    yield _Entry("out.weight", ("blocks.output.f.w",))


def _layer(theirs: str, ours: str, ends: Mapping[str, str]) -> Iterator[_Entry]:
    for there, here in ends.items():
        yield _Entry(f"{ours}.{here}", (f"{theirs}.{there}",))
