"""OpenAI's noise-aware CLIP of GLIDE, or a fine-tuned one, as an `ImageTextModel`.

Image and text encoder are in a file each, recognised by its content. The state dicts hold neither
sizes nor the temperature: these are those of the reference's config.yaml. Nothing
in a file is executed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.config.composition import compose
from genzoo.config.objects import build
from genzoo.config.paths import LAST
from genzoo.config.values import plain
from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.cache import cache_home
from genzoo.diffusion.process import Discrete
from genzoo.machine.download import SCHEMES, TYPED, fetch, sha256_of
from genzoo.models.clip import CLIP, CLIPWithTokenizer
from genzoo.text.clip_bpe import CLIPTokenizer, check_packages
from genzoo.weights import openai_glide
from genzoo.weights.content import may_hold_weights, read_content
from genzoo.weights.convert import clip
from genzoo.weights.convert.clip import KEYS
from genzoo.weights.names import OPENAI

FAMILY, TITLE = "clip", "its CLIP"
IMAGE, TEXT = "clip_image_enc.pt", "clip_text_enc.pt"  # as published
NAME = f"{OPENAI}/{IMAGE}"  # of the released one, for stamps
VOCABULARY = (
    "https://raw.githubusercontent.com/openai/CLIP/d05afc436d78f1c48dc0dbf8e5980a9d471f35f6/clip"
)
PAIRS = "bpe_simple_vocab_16e6.txt.gz"
PAIRS_SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
# By the names of the reference's config.yaml. The tokenizer has fewer tokens than n_vocab.
CONFIG: dict[str, Any] = {
    "logit_scale": 100.0,
    "beta_schedule": "squaredcos_cap_v2",
    "n_timesteps": 1000,
    "image_size": 64,
    "patch_size": 4,
    "n_vocab": 65_536,
    "max_text_len": 77,
    "n_embd": 512,
    "n_head_state_text": 64,
    "n_head_text": 8,
    "n_xf_blocks_text": 12,
    "n_head_state_image": 64,
    "n_head_image": 12,
    "n_xf_blocks_image": 12,
}

TEXT_SECTION = {"vocab_size": 49_408, "context": CONFIG["max_text_len"]}  # of its tokenizer


@dataclass(frozen=True)
class Files:
    """The two files of a CLIP.

    Attributes:
        image: the image encoder.
        text: the text encoder.
        name: for stamps.
    """

    image: Path
    text: Path
    name: str

    @property
    def sha256(self) -> str:
        """Of both files, in hexadecimal; it changes if either file changes or they are swapped."""
        both = f"{_digest(self.image)}\n{_digest(self.text)}\n"
        return hashlib.sha256(both.encode()).hexdigest()


def claims(word: str) -> bool:
    """Whether a word means a CLIP in OpenAI's format: a folder with its two files, or `openai`."""
    if word == OPENAI:
        return True
    folder = Path(word).expanduser()
    return holds_weights(folder) and not (folder / LAST).is_file()


def pair(word: str, weights_dir: str | Path | None) -> Files:
    """The two files that a word means; errors as of `published` and `in_folder`."""
    if word == OPENAI:
        return published(weights_dir)
    return in_folder(Path(word).expanduser())


def locate(
    word: str, *, settings: Mapping[str, Any], task: str, weights_dir: str | Path | None
) -> Path:
    """The file of the image encoder, which represents both; errors as of `pair`."""
    return pair(word, weights_dir).image


def second_stage(word: str, *, task: str, weights_dir: str | Path | None) -> Path | None:
    """None: a CLIP upsamples nothing."""
    return None


def detects(content: object) -> bool:
    """Whether a file's content is one of the two encoders."""
    return openai_glide.half_of(content) is not None


def about_of(content: object, path: Path) -> dict[str, Any]:
    """As `about`, of the file and the other one beside it; raises as `in_folder`."""
    return about(beside(path))


def weights_of(content: object, path: Path) -> dict[str, Tensor]:
    """Of both encoders, by the names of `CLIP`'s parameters; raises as `in_folder` and `load`."""
    return load(beside(path)).model.state_dict()


def published(weights_dir: str | Path | None, *, address: str = openai_glide.WEIGHTS) -> Files:
    """The released files, fetched on first use.

    Args:
        weights_dir: where the files are, under any names; None for the user's cache, and the
            network.
        address: of the folder that holds them.

    Raises:
        UsageError: where the folder lacks one.
        GenzooError: where one cannot be fetched.
    """
    if weights_dir is not None:
        folder = Path(weights_dir).expanduser()
        found = _by_kind(folder)
        if not (folder / IMAGE).is_file() and all(len(files) == 1 for files in found.values()):
            (image,), (text,) = found["image"], found["text"]
            return Files(image, text, f"{OPENAI}/{image.name}")
    image, text = (
        openai_glide.file_of(name, weights_dir, address=address) for name in (IMAGE, TEXT)
    )
    return Files(image, text, NAME)


def in_folder(folder: Path) -> Files:
    """The two files of a folder, recognised by their content alone.

    Raises:
        UsageError: unless there is exactly one of each kind.
    """
    found = _by_kind(folder)
    if any(len(files) != 1 for files in found.values()):
        there = "; ".join(
            f"{kind} encoder: {', '.join(file.name for file in files) or 'none'}"
            for kind, files in found.items()
        )
        raise UsageError(
            f"a CLIP in OpenAI's format is one image encoder and one text encoder, and {folder} "
            f"holds others ({there})",
            f"put exactly two files like {IMAGE} and {TEXT} there",
        )
    (image,), (text,) = found["image"], found["text"]
    return Files(image, text, f"{folder.resolve().name}/{image.name}")


def beside(path: Path) -> Files:
    """The two files, one of which is named: a published one belongs to the other published one.

    Raises:
        UsageError: as `in_folder`, for files of other names.
    """
    image, text = path.parent / IMAGE, path.parent / TEXT
    if path.name in (IMAGE, TEXT) and image.is_file() and text.is_file():
        return Files(image, text, f"{path.parent.resolve().name}/{IMAGE}")
    return in_folder(path.parent)


def holds_weights(folder: Path) -> bool:
    """Whether a folder has files directly in it that may be encoders."""
    return folder.is_dir() and any(map(may_hold_weights, folder.iterdir()))


def kind_of(file: Path) -> str | None:
    """Which encoder a file holds, `image` or `text`; None for anything else."""
    try:
        return openai_glide.half_of(read_content(file))
    except GenzooError:
        return None


def image_text(
    weights_dir: str | Path | None, *, address: str = openai_glide.WEIGHTS
) -> CLIPWithTokenizer:
    """The released CLIP, ready to score; arguments and errors as of `published` and `load`."""
    return load(published(weights_dir, address=address))


def load(files: Files) -> CLIPWithTokenizer:
    """The CLIP of two files with its tokenizer, on the CPU.

    Raises:
        UsageError: where a file holds something else, with what was expected and found.
        GenzooError: for a damaged file, or where the vocabulary cannot be fetched.
    """
    encoders = clip.from_reference(
        _state(files.image, "image"), _state(files.text, "text"), CONFIG
    )
    with torch.device("meta"):  # all of its weights are replaced
        model: CLIP = build({"_target_": f"{CLIP.__module__}.{CLIP.__name__}", **arguments()})
    model.image, model.text = encoders.image, encoders.text
    model.log_scale = nn.Parameter(torch.tensor([math.log(CONFIG["logit_scale"])]))
    model.eval().requires_grad_(False)
    return CLIPWithTokenizer(model, tokenizer(files.text.parent), files.name, files.sha256)


def about(files: Files) -> dict[str, Any]:
    """The metadata as in a checkpoint of genzoo's.

    Raises:
        GenzooError: where the vocabulary cannot be fetched.
    """
    typed = ["model=clip", f"data.image_size={CONFIG['image_size']}"]
    config = plain(compose(*typed))
    config["model"] |= arguments()
    config["text"] |= TEXT_SECTION
    return {
        "config": config,
        "origin": files.name,
        "tokenizer": tokenizer(files.text.parent).to_json(),
        "images_seen": 0,
        "seconds": 0.0,
        "version": openai_glide.VERSION,
    }


def arguments() -> dict[str, Any]:
    """Of `CLIP`, as a configuration has them."""
    return {
        "image_size": CONFIG["image_size"],
        "features": CONFIG["n_embd"],
        "image": {
            "patch": CONFIG["patch_size"],
            "width": CONFIG["n_head_image"] * CONFIG["n_head_state_image"],
            "layers": CONFIG["n_xf_blocks_image"],
            "heads": CONFIG["n_head_image"],
        },
        "text": {
            "vocab_size": CONFIG["n_vocab"],
            "context": CONFIG["max_text_len"],
            "width": CONFIG["n_head_text"] * CONFIG["n_head_state_text"],
            "layers": CONFIG["n_xf_blocks_text"],
            "heads": CONFIG["n_head_text"],
        },
        "noise_aware": True,
        "process": {
            "_target_": f"{Discrete.__module__}.{Discrete.__name__}",
            "schedule": CONFIG["beta_schedule"],
            "steps": CONFIG["n_timesteps"],
            "prediction": "eps",
            "learned_variance": False,
        },
        "chunk": None,
    }


@cache
def tokenizer(folder: Path, address: str = VOCABULARY) -> CLIPTokenizer:
    """CLIP's; arguments and errors as of `vocabulary`."""
    return CLIPTokenizer.from_file(vocabulary(folder, address), context=CONFIG["max_text_len"])


def vocabulary(folder: Path, address: str = VOCABULARY) -> Path:
    """The file with the tokenizer's pairs: the one beside the weights, or fetched.

    Raises:
        UsageError: where a package that reads it is missing.
        GenzooError: where the file cannot be fetched.
    """
    check_packages()
    beside = [folder / PAIRS, folder / PAIRS.removesuffix(".gz")]
    return next((file for file in beside if file.is_file()), None) or fetch(
        f"{address}/{PAIRS}",
        cache_home(None) / OPENAI / PAIRS,
        sha256=PAIRS_SHA256,
        remedy=f"put {PAIRS} of openai/CLIP beside the weights, in {folder}",
        schemes=SCHEMES if address == VOCABULARY else TYPED,
    )


def _by_kind(folder: Path) -> dict[str, list[Path]]:
    """The encoders in a folder."""
    found: dict[str, list[Path]] = {kind: [] for kind in KEYS}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if may_hold_weights(file) and (kind := kind_of(file)) is not None:
            found[kind].append(file.resolve())
    return found


def _state(file: Path, kind: str) -> dict[str, Tensor]:
    """The state dict of an encoder; an error if the file holds something else."""
    content = read_content(file)
    state = openai_glide.unwrapped(content, KEYS[kind])
    if state is not None:
        return state
    raise UsageError(
        f"{file} should hold the {kind} encoder of OpenAI's CLIP (a weight {KEYS[kind]}), and "
        f"holds {openai_glide.described(content)}",
        f"give the published {IMAGE if kind == 'image' else TEXT}, or one fine-tuned from it",
    )


def _digest(file: Path) -> str:
    return _digest_of(file, file.stat().st_size, file.stat().st_mtime_ns)


@cache
def _digest_of(file: Path, size: int, changed: int) -> str:
    return sha256_of(file)
