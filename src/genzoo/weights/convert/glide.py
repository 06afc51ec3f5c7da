"""OpenAI's GLIDE (github.com/openai/glide-text2im) and our networks: options and state dicts.

Both directions rename keys one by one and change the layout of a few weights: a 1x1 convolution
over positions is a linear layer here, and the text encoder's queries, keys and values are stored
part by part, in the reference head by head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.core.errors import UsageError
from genzoo.diffusion.network import TextUNet
from genzoo.nn.attention import AttentionBlock
from genzoo.nn.resnet import Resample, ResBlock
from genzoo.nn.unet import UNetShape
from genzoo.weights.convert.fit import check_fit

VOCABULARY = 50_257  # of the reference's tokenizer
MULTIPLES = {256: "1,1,2,2,4,4", 128: "1,1,2,3,4", 64: "1,2,3,4"}  # where channel_mult is empty

StateDict = Mapping[str, Tensor]

RES_BLOCK = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "embed",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "skip",
}
ATTENTION = {"norm": "norm", "qkv": "qkv", "encoder_kv": "context_kv", "proj_out": "proj"}
TEXT_BLOCK = {
    "ln_1": "norm1",
    "attn.c_qkv": "qkv",
    "attn.c_proj": "proj",
    "ln_2": "norm2",
    "mlp.c_fc": "mlp.0",
    "mlp.c_proj": "mlp.2",
}
REST = {
    "time_embed.0": "unet.time.0",
    "time_embed.2": "unet.time.2",
    "out.0": "unet.norm",
    "out.2": "unet.out",
    "token_embedding": "text.token_embedding",
    "final_ln": "text.norm",
    "transformer_proj": "project",
}
BARE = {"positional_embedding": "text.position", "padding_embedding": "text.padding"}


@dataclass(frozen=True)
class Options:
    """The options of the reference's `model_and_diffusion_defaults` that shape a network.

    Names are the reference's; options of the diffusion process are not among them.
    """

    image_size: int
    num_channels: int
    num_res_blocks: int
    channel_mult: str
    num_heads: int
    num_head_channels: int
    num_heads_upsample: int
    attention_resolutions: str
    dropout: float
    text_ctx: int
    xf_width: int
    xf_layers: int
    xf_heads: int
    xf_final_ln: bool
    xf_padding: bool
    use_scale_shift_norm: bool
    resblock_updown: bool
    inpaint: bool
    super_res: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """The options by name; others are ignored.

        Raises:
            UsageError: where one is missing.
        """
        names = cls.__dataclass_fields__
        missing = [name for name in names if name not in options]
        if missing:
            raise UsageError(f"options are missing: {', '.join(missing)}", "give all of them")
        return cls(**{name: options[name] for name in names})

    @property
    def multiples(self) -> list[int]:
        """Channels of each level in multiples of `num_channels`.

        Raises:
            UsageError: where the string does not fit the image's size.
        """
        text = self.channel_mult
        if text == "":
            if self.image_size not in MULTIPLES:
                raise UsageError(
                    f"image_size={self.image_size} has no channel_mult of its own",
                    f"give channel_mult, or one of {', '.join(map(str, MULTIPLES))}",
                )
            text = MULTIPLES[self.image_size]
        multiples = [int(part) for part in text.split(",")]
        if self.channel_mult and 2 ** (len(multiples) + 2) != self.image_size:
            raise UsageError(
                f"channel_mult={text} is for images of {2 ** (len(multiples) + 2)} px, not "
                f"{self.image_size}",
                "give one number a halving of the size down to 8 px",
            )
        return multiples

    @property
    def shape(self) -> UNetShape:
        """Of the U-Net."""
        sizes = [int(part) for part in self.attention_resolutions.split(",")]
        by_channels = self.num_head_channels != -1
        return UNetShape(
            width=self.num_channels,
            multiples=self.multiples,
            blocks=self.num_res_blocks,
            attention=[self.image_size // size for size in sizes],
            head_channels=self.num_head_channels if by_channels else None,
            heads=self.num_heads,
            heads_up=None if self.num_heads_upsample == -1 else self.num_heads_upsample,
            scale_shift=self.use_scale_shift_norm,
            resample="block" if self.resblock_updown else "conv",
            dropout=self.dropout,
        )

    def text(self, vocab_size: int) -> dict[str, Any] | None:
        """Arguments of the text encoder."""
        if not self.xf_width:
            return None
        return {
            "vocab_size": vocab_size,
            "context": self.text_ctx,
            "width": self.xf_width,
            "layers": self.xf_layers,
            "heads": self.xf_heads,
            "padding": self.xf_padding,
            "final_norm": self.xf_final_ln,
        }


def build(options: Mapping[str, Any], *, vocab_size: int = VOCABULARY) -> TextUNet:
    """An untrained network with the sizes of the reference's options."""
    own = Options.of(options)
    return TextUNet(
        own.shape,
        out=6,
        text=own.text(vocab_size),
        inpaint=own.inpaint,
        upsample=own.super_res,
    )


def from_reference(state: StateDict, options: Mapping[str, Any]) -> TextUNet:
    """The reference's weights in a network of ours.

    Args:
        state: by the reference's names.
        options: by the reference's names.

    Raises:
        UsageError: where keys are unknown, missing or of another shape; all are listed.
    """
    embedding = state.get("token_embedding.weight")
    model = build(options, vocab_size=VOCABULARY if embedding is None else len(embedding))
    ours = model.state_dict()
    names = {entry.theirs: entry for entry in _entries(model)}
    check_fit(
        state,
        {key: entry.back(ours[entry.ours]).shape for key, entry in names.items()},
        what="these weights do not fit the options",
        remedy="check which stage (base or upsample, inpaint or not) the file is of",
    )
    model.load_state_dict({e.ours: e.here(state[e.theirs]) for e in names.values()})
    return model


def to_reference(model: TextUNet) -> dict[str, Tensor]:
    """A network's weights by the reference's names and in its layout."""
    return renamed(model, model.state_dict())


def renamed(model: TextUNet, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights, gradients or averages of a network by the reference's names and in its layout."""
    return {entry.theirs: entry.back(values[entry.ours]) for entry in _entries(model)}


@dataclass(frozen=True)
class _Entry:
    """One weight: its two names, and the conversions between the two layouts."""

    theirs: str
    ours: str
    here: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def _entries(model: TextUNet) -> Iterator[_Entry]:
    """Every weight of a network."""
    for group, ours in (("input_blocks", model.unet.down), ("output_blocks", model.unet.up)):
        side = "down" if group == "input_blocks" else "up"
        for k, layers in enumerate(ours):
            assert isinstance(layers, nn.ModuleList)
            for j, layer in enumerate(layers):
                yield from _layer(layer, f"{group}.{k}.{j}", f"unet.{side}.{k}.{j}")
    for j, layer in enumerate(model.unet.middle):
        yield from _layer(layer, f"middle_block.{j}", f"unet.middle.{j}")
    state = model.state_dict()
    for theirs, name in REST.items():
        yield from (_plain(f"{theirs}{end}", f"{name}{end}") for end in _ends(state, name))
    yield from (_plain(theirs, name) for theirs, name in BARE.items() if name in state)
    if model.text is not None:
        for k in range(len(model.text.blocks)):
            before, prefix = f"transformer.resblocks.{k}", f"text.blocks.{k}"
            for theirs, name in TEXT_BLOCK.items():
                for end in (".weight", ".bias"):
                    entry = _plain(f"{before}.{theirs}{end}", f"{prefix}.{name}{end}")
                    yield _by_head(entry, model.text.heads) if name == "qkv" else entry


def _layer(layer: nn.Module, theirs: str, ours: str) -> Iterator[_Entry]:
    """The weights of one layer of the U-Net."""
    state = layer.state_dict()
    if isinstance(layer, ResBlock):
        for old, new in RES_BLOCK.items():
            yield from (
                _plain(f"{theirs}.{old}{e}", f"{ours}.{new}{e}") for e in _ends(state, new)
            )
    elif isinstance(layer, AttentionBlock):
        for old, new in ATTENTION.items():
            for end in _ends(state, new):
                entry = _plain(f"{theirs}.{old}{end}", f"{ours}.{new}{end}")
                yield _flat(entry) if end == ".weight" and new != "norm" else entry
    elif isinstance(layer, Resample):
        old = "op" if layer.change == "smaller" else "conv"
        yield from (_plain(f"{theirs}.{old}{e}", f"{ours}.conv{e}") for e in _ends(state, "conv"))
    else:
        yield from (_plain(f"{theirs}{e}", f"{ours}{e}") for e in (".weight", ".bias"))


def _ends(state: StateDict, name: str) -> list[str]:
    return [end for end in (".weight", ".bias") if f"{name}{end}" in state]


def _plain(theirs: str, ours: str) -> _Entry:
    return _Entry(theirs, ours, torch.clone, torch.clone)


def _flat(entry: _Entry) -> _Entry:
    """A 1x1 convolution there, a linear layer here."""
    return _Entry(
        entry.theirs, entry.ours, lambda w: w.squeeze(-1).clone(), lambda w: w[..., None].clone()
    )


def _by_head(entry: _Entry, heads: int) -> _Entry:
    """(heads, 3, channels) rows there, (3, heads, channels) here."""

    def here(w: Tensor) -> Tensor:
        by_part: Tensor = w.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)
        return by_part

    def back(w: Tensor) -> Tensor:
        by_head: Tensor = w.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2)
        return by_head

    return _Entry(entry.theirs, entry.ours, here, back)
