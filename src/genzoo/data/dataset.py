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
from genzoo.core.types import Batch, Captions, Condition
from genzoo.data.cache import Progress, cache_home, open_cache
from genzoo.data.look_alikes import count as count_look_alikes
from genzoo.data.source import GroundTruth, Source
from genzoo.data.splits import split
from genzoo.data.wordings import Wordings
from genzoo.text.length import Cut
from genzoo.text.tokenizer import Tokenizer

Indices: TypeAlias = Sequence[int] | np.ndarray | Tensor


class TextImageData:
    """All captioned images of a source at one size, cached, with their splits.

    The unit is the image, however many captions it has: its index is its place among the images
    that could be used. Where captions matter, an index stands for the image's first caption, and
    a number beyond all indices for an image with another caption or another wording
    (`captioned`, `views`). Building it renders the images, once per source and size; afterwards
    it opens a file.

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
        captions: the first one of each image.
        wordings: all captions of all images.
        labels: int64 class numbers, -1 for none; shape (n,).
        attributes: what is known to be in each image, or None.
        ground_truth: the source, if it can check images against captions, or None.
        keys: the items' names within the source.
        fingerprint: changes with any pixel, caption, label or split.
        skipped: images that could not be used.
        look_alikes: how many images have the pixels of another one.
        report: the file that names both.

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
        self.wordings = Wordings([item.captions for item in items], templates)
        self.captions = self.texts_of(range(len(items)))
        self.keys = [item.key for item in items]
        self.labels = np.array([item.label for item in items], dtype=np.int64)
        self.attributes: list[Mapping[str, Any] | None] = [item.attributes for item in items]
        self.ground_truth = source if isinstance(source, GroundTruth) else None
        alike = self._images.header.alike or []
        self._splits = split(items, validation=validation, alike=alike)
        self.look_alikes = count_look_alikes(items, alike, self._splits)
        self.fingerprint = self._fingerprint()
        self._tokens: tuple[Tokenizer, Tensor, Tensor] | None = None

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
        """The images of a split with each wording of their first captions.

        Training goes through them, and takes `visited` of them. They are numbers that `batch`,
        `condition` and the like take as they take an index.
        """
        indices, words = self.split(name), self.wordings
        templates = range(len(words.templates))
        return np.concatenate([words.numbers(indices, template=k) for k in templates])

    def visited(self, views: Indices, visit: int, *, seed: int) -> np.ndarray:
        """Views with a random caption of each image, as training shows them on a visit.

        Args:
            views: as `views` has them.
            visit: how often training went through all of them before.
            seed: of the choice.
        """
        return self.wordings.visited(_numbers(views), seed=seed, visit=visit)

    def captioned(self, indices: Indices, rounds: Indices) -> np.ndarray:
        """Images with their captions in turn: in round k the k-th one, and then the first again.

        Args:
            indices: of the images.
            rounds: one each, from 0.

        Returns:
            Numbers that `batch`, `condition` and the like take as they take an index.
        """
        return self.wordings.numbers(_numbers(indices), caption=_numbers(rounds))

    def spread(self, name: str, count: int) -> np.ndarray:
        """At most `count` indices of a split, evenly spread over it.

        The first ones would be alike: sources list their items by theme or class.
        """
        indices = self.split(name)
        count = min(count, len(indices))
        return indices[np.arange(count) * len(indices) // max(count, 1)]

    def images(self, indices: Indices) -> UInt8[Tensor, "b 3 h w"]:
        """The pixels of these images or views, in the given order."""
        return torch.from_numpy(self._images[self.wordings.images(_numbers(indices))])

    def caption_attributes(self, indices: Indices) -> list[Mapping[str, Any]]:
        """What is known to be in these images; empty where nothing is."""
        images = self.wordings.images(_numbers(indices)).tolist()
        return [self.attributes[i] or {} for i in images]

    def texts_of(self, indices: Indices) -> list[str]:
        """The captions of these images or views."""
        return self.wordings.worded(_numbers(indices))

    def condition(self, indices: Indices, tokenizer: Tokenizer) -> Condition:
        """Captions, tokens and labels of these images or views."""
        numbers = _numbers(indices)
        tokens, mask = self.tokens(tokenizer)
        rows = torch.from_numpy(self.wordings.rows(numbers))
        return Condition(
            caption=tuple(self.texts_of(numbers)),
            tokens=tokens[rows],
            token_mask=mask[rows],
            label=torch.from_numpy(self.labels[self.wordings.images(numbers)]),
        )

    def batch(
        self, indices: Indices, tokenizer: Tokenizer, *, all_captions: bool = False
    ) -> Batch:
        """These images or views as a batch, images in [-1, 1].

        Args:
            indices: of the images.
            tokenizer: of their captions.
            all_captions: whether all captions of each image come with it, for retrieval.
        """
        numbers = _numbers(indices)
        cond = self.condition(numbers, tokenizer)
        return Batch(
            image=to_float(self.images(numbers)),
            caption=cond.caption,
            tokens=cond.tokens,
            token_mask=cond.token_mask,
            label=cond.label,
            index=torch.from_numpy(self.wordings.images(numbers)),
            captions=self._all_captions(numbers, tokenizer) if all_captions else None,
        )

    def _all_captions(self, numbers: np.ndarray, tokenizer: Tokenizer) -> Captions:
        every, place = self.wordings.every(self.wordings.images(numbers))
        tokens, mask = self.tokens(tokenizer)
        rows = torch.from_numpy(self.wordings.rows(every))
        return Captions(tokens[rows], mask[rows], torch.from_numpy(place))

    def tokens(self, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
        """Tokens and mask of every distinct caption in every template, one template after another.

        They are encoded once for the last tokenizer used.
        """
        if self._tokens is None or self._tokens[0] is not tokenizer:
            self._tokens = tokenizer, *tokenizer.encode(self.wordings.texts())
        return self._tokens[1:]

    def cut(self, tokenizer: Tokenizer) -> Cut:
        """How many captions, all of every image in all their wordings, are too long."""
        _, mask = self.tokens(tokenizer)
        return self.wordings.cut(tokenizer, mask.all(dim=1).nonzero()[:, 0].numpy())

    def texts(self, name: str) -> list[str]:
        """All captions of a split in every template, as a tokenizer learns from them."""
        words, indices = self.wordings, self.split(name)
        every = [words.every(indices, template=k)[0] for k in range(len(words.templates))]
        return self.texts_of(np.concatenate(every))

    def _all_texts(self) -> list[list[str]]:
        """All captions of each image, worded as they are measured."""
        every, place = self.wordings.every(np.arange(len(self)))
        found: list[list[str]] = [[] for _ in range(len(self))]
        for image, text in zip(place.tolist(), self.texts_of(every), strict=True):
            found[image].append(text)
        return found

    def _fingerprint(self) -> str:
        """Over pixels, not files: copies of a data set on two machines count as the same."""
        about = {
            "pixels": self._images.header.digest,
            # One caption as it has always been written: fingerprints of such data stay.
            "captions": [own[0] if len(own) == 1 else own for own in self._all_texts()],
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


def _check_size(image_size: int) -> None:
    if not 1 <= image_size <= 4096:
        raise UsageError(
            f"data.image_size={image_size} is no usable size",
            "give the pixels of a side, such as data.image_size=32",
        )
