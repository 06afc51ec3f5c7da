"""Data, tokenizer and model of a run, from its configuration."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from genzoo.config.objects import build
from genzoo.config.values import plain, wrapped
from genzoo.core.errors import UsageError
from genzoo.core.noise import split_seed
from genzoo.machine.console import Progress, status
from genzoo.models.base import GenerativeModel
from genzoo.run.parent import about_parent
from genzoo.text.bpe import BPETokenizer
from genzoo.text.stored import read_tokenizer
from genzoo.text.tokenizer import Tokenizer
from genzoo.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    from genzoo.data.dataset import TextImageData

# torch's messages for sizes that cannot be allocated, or overflow.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory",
             "storage size calculation overflowed", "overflow when unpacking")  # fmt: skip


def build_data(cfg: DictConfig) -> TextImageData:
    """The captioned images, rendered into the cache if they are not there yet."""
    node = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(node, dict)
    with Progress("rendering the images", None) as progress:
        data: TextImageData = build(
            {str(k): v for k, v in node.items()},
            progress=lambda done, total: progress.at(done, note=f"of {total:,}"),
        )
    splits = ", ".join(f"{name} {count:,}" for name, count in data.splits.items())
    status(f"{data.name}: {len(data):,} captioned images ({splits}), {data.image_size} px")
    if data.wordings.several:
        count = int(data.wordings.count.sum())
        status(f"  {count:,} captions; training takes a random one of an image at each visit")
    if data.look_alikes.sets:
        status(f"  {data.look_alikes}, see {data.report}")
    if data.skipped:
        status(f"  {data.skipped} images were skipped, see {data.report}")
    return data


def build_tokenizer(
    cfg: DictConfig, data: TextImageData, checkpoint: Checkpoint | None
) -> Tokenizer:
    """The checkpoint's tokenizer, that of the parent model, or a newly trained one."""
    about = about_parent(cfg) if checkpoint is None else checkpoint.about
    if about is not None:
        return read_tokenizer(about["tokenizer"])
    return BPETokenizer.train(
        data.texts("train"), vocab_size=cfg.text.vocab_size, context=cfg.text.context
    )


def build_model(cfg: DictConfig) -> GenerativeModel:
    """The model with the initial weights of the seed."""
    seed = split_seed(cfg.seed, "initial weights")
    seed_everything(seed)
    node = OmegaConf.to_container(cfg.model, resolve=True)
    assert isinstance(node, dict)
    with _memory_enough(cfg.model.name):
        model: GenerativeModel = build({str(k): v for k, v in node.items()})
        model = model.to(memory_format=torch.channels_last)
    sampler = build_sampler(cfg)
    if sampler is not None:
        model.sampler = sampler
    return model


@contextlib.contextmanager
def _memory_enough(name: str) -> Iterator[None]:
    """Turn running out of memory, while networks are built, into an error of one line."""
    try:
        yield
    except (RuntimeError, TypeError, MemoryError) as error:
        message = str(error).lower()
        if isinstance(error, MemoryError) or any(words in message for words in NO_MEMORY):
            raise UsageError(
                f"the networks of this model={name} need more memory than there is",
                "write smaller numbers for the keys of its networks (model.*)",
            ) from error
        raise


def check_beginning(cfg: DictConfig, model: GenerativeModel, checkpoint: Checkpoint) -> None:
    """Refuse typed keys that set initial values, where a training is resumed.

    The checkpoint's values would replace theirs silently.

    Args:
        cfg: the prepared configuration.
        model: built by it, with the checkpoint's weights.
        checkpoint: to resume from.

    Raises:
        UsageError: names the keys.
    """
    own, saved = plain(cfg), checkpoint.config["model"]
    before = dict(_leaves(saved, "model."))
    typed = [key for key, value in _leaves(own["model"], "model.") if before.get(key) != value]
    if not typed:
        return
    begun = build_model(wrapped({**own, "model": saved})).state_dict()
    wanted, held = build_model(cfg).state_dict(), model.state_dict()
    for name, value in wanted.items():
        if not torch.equal(value, begun[name]) and not torch.equal(value, held[name]):
            raise UsageError(
                f"{', '.join(typed)}: the training in {checkpoint.path} has begun with another "
                f"{name}, and resumes from the trained one",
                "leave it away, or train anew",
            )


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def build_sampler(cfg: DictConfig) -> Any:
    """The sampler, for models that sample in many steps; None for the others."""
    return build_chosen(cfg.sampler, None)


def build_chosen(section: DictConfig, nothing: Any) -> Any:
    """The object of a section's `_target_`; `nothing` where it has none."""
    node = OmegaConf.to_container(section, resolve=True)
    assert isinstance(node, dict)
    return build({str(k): v for k, v in node.items()}) if "_target_" in node else nothing


def seed_everything(seed: int) -> None:
    """Seed the global random generators, for code that takes no `Noise`."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one is what is meant
    torch.manual_seed(seed)
