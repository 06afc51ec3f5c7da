"""OpenAI's released GLIDE, or a fine-tuned one, read like genzoo's checkpoints.

Such a file holds the reference's state dict alone: which network it is (base or upsampler, with
inpainting or without) follows from the input channels of its first convolution, and its sizes must
be those of the released networks. Nothing in a file is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from genzoo.config.composition import compose
from genzoo.config.values import plain
from genzoo.core.errors import UsageError
from genzoo.data.cache import cache_home
from genzoo.machine.console import Progress
from genzoo.machine.download import SCHEMES, TYPED, fetch
from genzoo.text.gpt2 import GPT2Tokenizer
from genzoo.weights.convert import clip, glide
from genzoo.weights.names import OPENAI

WEIGHTS = "https://openaipublic.blob.core.windows.net/diffusion/dec-2021"
VOCABULARY = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"
SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
VERSION = "none (openai/glide-text2im)"  # of the program that trained them
FIRST = "input_blocks.0.0.weight"  # a key that every network of the reference has
CONTEXT = 128
FAMILY, TITLE = "glide", "OpenAI's GLIDE"


@dataclass(frozen=True)
class Kind:
    """One of the four networks.

    Attributes:
        stage: base or upsample.
        inpaint: whether it inpaints.
    """

    stage: str
    inpaint: bool

    @property
    def file(self) -> str:
        """Its name as published."""
        return f"{self.stage}{'_inpaint' if self.inpaint else ''}.pt"

    @property
    def channels(self) -> int:
        """Input channels of its first convolution."""
        return 3 + 4 * self.inpaint + 3 * (self.stage == "upsample")

    @property
    def overrides(self) -> list[str]:
        """The command line that would train such a network."""
        base = self.stage == "base"
        return [
            "model=glide",
            f"model/size@model={'released' if base else 'released_upsample'}",
            f"model.stage={self.stage}",
            f"model.inpaint={str(self.inpaint).lower()}",
            f"data.image_size={64 if base else 256}",
            "sampler=ddpm" if base else "sampler=ddim",
            f"sampler.steps={100 if base else 'fast27'}",
            f"sampler.temperature={1.0 if base else 0.997}",
        ]

    @property
    def options(self) -> dict[str, Any]:
        """By the reference's names."""
        base = self.stage == "base"
        return {
            "image_size": 64 if base else 256,
            "num_channels": 192,
            "num_res_blocks": 3 if base else 2,
            "channel_mult": "",
            "num_heads": 1,
            "num_head_channels": 64,
            "num_heads_upsample": -1,
            "attention_resolutions": "32,16,8",
            "dropout": 0.1,
            "text_ctx": CONTEXT,
            "xf_width": 512,
            "xf_layers": 16,
            "xf_heads": 8,
            "xf_final_ln": True,
            "xf_padding": True,
            "use_scale_shift_norm": True,
            "resblock_updown": True,
            "inpaint": self.inpaint,
            "super_res": not base,
        }


KINDS = [Kind(stage, inpaint) for stage in ("base", "upsample") for inpaint in (False, True)]


def claims(word: str) -> bool:
    """Whether a word for a checkpoint means the released networks."""
    return word == OPENAI


def locate(
    word: str, *, settings: Mapping[str, Any], task: str, weights_dir: str | Path | None
) -> Path:
    """The released network of the requested stage; errors as of `file_of`."""
    inpaint = settings["inpaint"] or task == "inpaint"
    return published(Kind(settings["stage"], inpaint), weights_dir)


def second_stage(word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
    """The released upsampler; errors as of `file_of`."""
    return published(Kind("upsample", inpaint=task == "inpaint"), weights_dir)


def published(kind: Kind, folder: str | Path | None, *, address: str = WEIGHTS) -> Path:
    """The released file of a network, fetched on first use; arguments and errors as `file_of`."""
    return file_of(kind.file, folder, address=address)


def file_of(name: str, folder: str | Path | None, *, address: str = WEIGHTS) -> Path:
    """A released file, fetched on first use.

    Args:
        name: of the file, as published.
        folder: where the files are; None for the user's cache, and the network.
        address: of the folder that holds them.

    Raises:
        UsageError: where the folder lacks it.
        GenzooError: where it cannot be fetched.
    """
    if folder is not None:
        file = Path(folder).expanduser() / name
        if not file.is_file():
            raise UsageError(
                f"there is no {name} in weights_dir={folder}",
                "put it there, or leave weights_dir= away to have it fetched",
            )
        return file.resolve()
    remedy = f"fetch {name} elsewhere and name its folder with weights_dir="
    with Progress(f"fetching {name}", None) as progress:
        return fetch(
            f"{address}/{name}",
            cache_home(None) / OPENAI / name,
            sha256=None,  # none was published; that of the first file is recorded
            remedy=remedy,
            schemes=SCHEMES if address == WEIGHTS else TYPED,
            report=lambda done, total: progress.at(
                done >> 20, note=f"of {total >> 20:,} MiB" if total else "MiB"
            ),
        )


def detects(content: object) -> bool:
    """Whether a file's content is a state dict of the reference's."""
    return glide_state_dict(content) is not None


def about_of(content: object, path: Path) -> dict[str, Any]:
    """As `about`, for a file's content."""
    return about(kind_of(_state(content), path), path)


def weights_of(content: object, path: Path) -> dict[str, Tensor]:
    """As `weights`, for a file's content."""
    state = _state(content)
    return weights(state, kind_of(state, path))


def _state(content: object) -> dict[str, Tensor]:
    state = glide_state_dict(content)
    assert state is not None
    return state


def glide_state_dict(content: object) -> dict[str, Tensor] | None:
    """The reference's state dict in a file's content, if it holds one."""
    return unwrapped(content, FIRST)


def unwrapped(content: object, key: str) -> dict[str, Tensor] | None:
    """The state dict in a file's content, without wrappers, if it has an identifying key."""
    for inner in ("state_dict", "model"):
        if isinstance(content, dict) and key not in content and inner in content:
            content = content[inner]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        return None
    state = {str(name).removeprefix("module."): value for name, value in content.items()}
    return state if key in state else None


def half_of(content: object) -> str | None:
    """Which encoder of the reference's CLIP a file's content is: `image`, `text` or neither."""
    return next((half for half, key in clip.KEYS.items() if unwrapped(content, key)), None)


def described(content: object) -> str:
    """A file's content in a few words."""
    if half := half_of(content):
        return f"the {half} encoder of a CLIP in OpenAI's format"
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    names = [str(key) for key in content]
    more = ", ..." if names[3:] else ""
    entries = f"{len(names)} entr{'y' if len(names) == 1 else 'ies'} of other names"
    return f"{entries} ({', '.join(names[:3])}{more})" if names else "nothing"


def kind_of(state: Mapping[str, Tensor], path: Path) -> Kind:
    """Which network a state dict belongs to.

    Raises:
        UsageError: for none of the four.
    """
    found = state[FIRST].shape[1]
    for kind in KINDS:
        if kind.channels == found:
            return kind
    raise UsageError(
        f"the first convolution in {path} sees {found} channels",
        "a base sees 3, with inpainting 7; an upsampler 6, with inpainting 10",
    )


def about(kind: Kind, path: Path) -> dict[str, Any]:
    """The metadata as in a checkpoint of genzoo's.

    Raises:
        GenzooError: where the vocabulary cannot be fetched.
    """
    return {
        "config": plain(compose(*kind.overrides)),
        "origin": f"openai/{kind.file}",
        "tokenizer": tokenizer(path.parent).to_json(),
        "images_seen": 0,
        "seconds": 0.0,
        "version": VERSION,
    }


def weights(state: Mapping[str, Tensor], kind: Kind) -> dict[str, Tensor]:
    """By the names of `Glide`'s parameters.

    Raises:
        UsageError: lists the keys that are unknown, missing or of another shape.
    """
    network = glide.from_reference(state, kind.options)
    return {f"network.{name}": value for name, value in network.state_dict().items()}


@cache
def tokenizer(folder: Path, address: str = VOCABULARY) -> GPT2Tokenizer:
    """GPT-2's, from the files beside the weights, or fetched."""
    found = {}
    for name, sha256 in SHA256.items():
        beside = [folder / name, folder / f"{name}.gz"]
        existing = next((file for file in beside if file.is_file()), None)
        found[name] = existing or fetch(
            f"{address}/{name}",
            cache_home(None) / OPENAI / name,
            sha256=sha256,
            remedy=f"put {name} of GPT-2 beside the weights, in {folder}",
            schemes=SCHEMES if address == VOCABULARY else TYPED,
        )
    return GPT2Tokenizer.from_files(found["encoder.json"], found["vocab.bpe"], context=CONTEXT)
