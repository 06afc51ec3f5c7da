"""Captioned images in memory order: what training, sampling and measuring read from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.image import to_float
from genzoo.core.types import Batch, Condition
from genzoo.data.cache import Progress, cache_home, open_cache
from genzoo.data.source import GroundTruth, Source
from genzoo.data.splits import split
from genzoo.text.length import Cut, tokens_cut
from genzoo.text.tokenizer import Tokenizer

Indices: TypeAlias = Sequence[int] | np.ndarray | Tensor


class TextImageData:
    """All captioned images of a source at one size, cached, with their splits.

    An item's index is its place among the images that could be used. Building it draws the
    images, once per source and size; afterwards it opens a file.

    Args:
        source: where images and captions come from.
        image_size: pixels of a side.
        validation: the share of groups that is kept from training, in [0, 1).
        max_skipped: the share of damaged images that is put up with, in [0, 1].
        cache: folder of the cache; None for GENZOO_CACHE or the user's cache folder.
        root: the folder that the source reads, where it reads one; kept for the record.
        workers: processes that load batches; kept for whoever builds the datamodule.
        name: what the data are called; None for the source's own name.
        templates: how captions are worded in training, "{}" standing for the caption (CLIP's
            prompt templates, arXiv 2103.00020, section 3.1.4); everywhere else the first is used.
        progress: called with how many of how many images have been drawn.

    Attributes:
        attribution: what the images' licence wants shown beside them, or None.
        label_names: the classes' names; empty where there are none.
        captions: one an item.
        labels: int64 class numbers, -1 for none; shape (n,).
        attributes: what is known to be in each image, or None.
        ground_truth: the source, if it can check images against captions, or None.
        keys: the items' names within the source.
        fingerprint: changes with any pixel, caption, label or split.
        skipped: images that could not be used.
        report: the file that names them.

    Raises:
        UsageError: for sizes and shares that make no sense, or an unwritable cache.
        GenzooError: when too many images are damaged.
    """

    def __init__(
        self,
        source: Source,
        *,
        image_size: int,
        validation: float,
        max_skipped: float,
        cache: str | Path | None = None,
        root: str | Path | None = None,
        workers: int = 0,
        name: str | None = None,
        templates: Sequence[str] = ("{}",),
        progress: Progress | None = None,
    ) -> None:
        _check_size(image_size)
        _check_templates(templates)
        items = source.items()
        self._images = open_cache(
            source,
            items,
            size=image_size,
            home=cache_home(cache),
            max_skipped=max_skipped,
            progress=progress,
        )
        self.skipped = len(items) - len(self._images)
        self.report = self._images.folder / "skipped.json"
        kept = self._images.header.kept
        items = items if kept is None else [items[i] for i in kept]
        self.name = name or source.name
        self.root = root
        self.workers = workers
        self.image_size = image_size
        self.attribution = source.attribution
        self.label_names = source.label_names
        self.templates = tuple(templates)
        self._bare = [item.caption for item in items]
        self.captions = [self._worded(i) for i in range(len(items))]
        self.keys = [item.key for item in items]
        self.labels = np.array([item.label for item in items], dtype=np.int64)
        self.attributes: list[Mapping[str, Any] | None] = [item.attributes for item in items]
        self.ground_truth = source if isinstance(source, GroundTruth) else None
        self._splits = split(items, validation=validation)
        self.fingerprint = self._fingerprint()
        self._tokens: tuple[Tokenizer, Tensor, Tensor] | None = None
        distinct = {caption: k for k, caption in enumerate(dict.fromkeys(self._bare))}
        self._distinct = list(distinct)
        self._which = torch.tensor([distinct[caption] for caption in self._bare])

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return 3, self.image_size, self.image_size

    @property
    def splits(self) -> dict[str, int]:
        """The splits' names and sizes."""
        return {name: len(indices) for name, indices in self._splits.items()}

    def split(self, name: str) -> np.ndarray:
        """The indices of a split, ascending.

        Raises:
            UsageError: when the data have no such split.
        """
        if name not in self._splits:
            known = ", ".join(self._splits)
            raise UsageError(f"{self.name} has no split {name!r}", f"choose one of {known}")
        return self._splits[name]

    def views(self, name: str) -> np.ndarray:
        """The items of a split with each wording of their captions, as training goes through them.

        Item i of n with its caption in the k-th template has the number k n + i, which `batch`
        and `condition` take like an index.
        """
        indices = self.split(name)
        return np.concatenate([indices + k * len(self) for k in range(len(self.templates))])

    def spread(self, name: str, count: int) -> np.ndarray:
        """At most `count` indices of a split, evenly spread over it.

        The first ones would be alike: sources list their items by theme or class.
        """
        indices = self.split(name)
        count = min(count, len(indices))
        return indices[np.arange(count) * len(indices) // max(count, 1)]

    def images(self, indices: Indices) -> UInt8[Tensor, "b 3 h w"]:
        """The pixels of these items, in the given order."""
        return torch.from_numpy(self._images[_numbers(indices)])

    def caption_attributes(self, indices: Indices) -> list[Mapping[str, Any]]:
        """What is known to be in these items' images; empty where nothing is."""
        return [self.attributes[i] or {} for i in _numbers(indices).tolist()]

    def condition(self, indices: Indices, tokenizer: Tokenizer) -> Condition:
        """Captions, tokens and labels of these items or views."""
        views = _numbers(indices)
        template, item = np.divmod(views, len(self))
        tokens, mask = self.tokens(tokenizer)
        rows = torch.from_numpy(template) * len(self._distinct) + self._which[item]
        return Condition(
            caption=tuple(self._worded(view) for view in views.tolist()),
            tokens=tokens[rows],
            token_mask=mask[rows],
            label=torch.from_numpy(self.labels[item]),
        )

    def batch(self, indices: Indices, tokenizer: Tokenizer) -> Batch:
        """These items or views as a batch, images in [-1, 1]."""
        views = _numbers(indices)
        items = views % len(self)
        cond = self.condition(views, tokenizer)
        return Batch(
            image=to_float(self.images(items)),
            caption=cond.caption,
            tokens=cond.tokens,
            token_mask=cond.token_mask,
            label=cond.label,
            index=torch.from_numpy(items),
        )

    def tokens(self, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
        """Tokens and mask of every distinct caption in every template, one template after another.

        They are encoded once for the last tokenizer used.
        """
        if self._tokens is None or self._tokens[0] is not tokenizer:
            texts = [_filled(form, text) for form in self.templates for text in self._distinct]
            self._tokens = tokenizer, *tokenizer.encode(texts)
        return self._tokens[1:]

    def cut(self, tokenizer: Tokenizer) -> Cut:
        """How many captions, in all their wordings, are too long for a tokenizer."""
        _, mask = self.tokens(tokenizer)
        full = mask.all(dim=1).nonzero()[:, 0].tolist()  # no other one is cut
        template, text = np.divmod(np.array(full, dtype=np.int64), len(self._distinct))
        worded = [
            _filled(self.templates[k], self._distinct[i])
            for k, i in zip(template.tolist(), text.tolist(), strict=True)
        ]
        beyond = np.array(tokens_cut(worded, tokenizer), dtype=np.int64)
        shown = torch.bincount(self._which, minlength=len(self._distinct)).numpy()
        return Cut(
            captions=int(shown[text[beyond > 0]].sum()),
            of=len(self) * len(self.templates),
            most=int(beyond.max(initial=0)),
            context=tokenizer.context,
        )

    def texts(self, name: str) -> list[str]:
        """The captions of a split in every template, as a tokenizer learns from them."""
        return [self._worded(view) for view in self.views(name).tolist()]

    def _worded(self, view: int) -> str:
        template, item = divmod(view, len(self._bare))
        return _filled(self.templates[template], self._bare[item])

    def _fingerprint(self) -> str:
        """Over pixels, not files: copies of a data set on two machines count as the same."""
        about = {
            "pixels": self._images.header.digest,
            "captions": self.captions,
            "labels": self.labels.tolist(),
            "splits": {name: indices.tolist() for name, indices in self._splits.items()},
        }
        text = json.dumps(about, sort_keys=True).encode()
        return hashlib.blake2b(text, digest_size=8).hexdigest()


def _numbers(indices: Indices) -> np.ndarray:
    if isinstance(indices, Tensor):
        indices = indices.cpu().numpy()
    # A copy: the batch keeps it, and the caller may reuse its array.
    return np.array(indices, dtype=np.int64).reshape(-1)


def _filled(template: str, caption: str) -> str:
    """Empty captions stay empty, for they stand for none."""
    return template.replace("{}", caption) if caption else caption


def _check_templates(templates: Sequence[str]) -> None:
    wrong = [template for template in templates if template.count("{}") != 1]
    if wrong or not templates:
        raise UsageError(
            f"data.templates={list(templates)} leaves no place for the caption",
            "write {} once in each, as in data.templates=['{}','a {}']",
        )


def _check_size(image_size: int) -> None:
    if not 1 <= image_size <= 4096:
        raise UsageError(
            f"data.image_size={image_size} is no usable size",
            "give the pixels of a side, such as data.image_size=32",
        )
