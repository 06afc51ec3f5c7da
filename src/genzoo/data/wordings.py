"""All captions of images in all their wordings, by number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.text.length import Cut, tokens_cut
from genzoo.text.tokenizer import Tokenizer


class Wordings:
    """Each image's captions, each in every template.

    Of n images and t templates, image i with its j-th caption in the k-th template has the number
    i + n (k + t j): the number of an image is also that of its first caption in the first
    template.

    Args:
        captions: of each image, at least one.
        templates: how captions are worded, "{}" standing for the caption.

    Attributes:
        count: captions of each image, int64 of shape (n,).
        templates: as given.

    Raises:
        UsageError: for templates without one place for the caption.
    """

    def __init__(self, captions: Sequence[tuple[str, ...]], templates: Sequence[str]) -> None:
        _check_templates(templates)
        self.captions = captions
        self.templates = tuple(templates)
        self.count = np.array([len(own) for own in captions], dtype=np.int64)
        every = [caption for own in captions for caption in own]
        distinct = {caption: k for k, caption in enumerate(dict.fromkeys(every))}
        self._distinct = list(distinct)
        self._which = np.array([distinct[caption] for caption in every], dtype=np.int64)
        self._first = np.cumsum(self.count) - self.count  # of each image among every caption

    def __len__(self) -> int:
        return len(self.captions)

    @cached_property
    def several(self) -> bool:
        """Whether an image has more than one caption."""
        return bool((self.count > 1).any())

    def texts(self) -> list[str]:
        """Every distinct caption in every template, one template after another."""
        return [_filled(form, text) for form in self.templates for text in self._distinct]

    def images(self, numbers: np.ndarray) -> np.ndarray:
        """The image of each number.

        Raises:
            IndexError: for a number that stands for nothing.
        """
        image: np.ndarray = self._parts(numbers)[0]
        return image

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Where each number's caption stands among `texts`."""
        image, template, caption = self._parts(numbers)
        rows: np.ndarray = self._which[self._first[image] + caption]
        rows = rows + template * len(self._distinct)
        return rows

    def worded(self, numbers: np.ndarray) -> list[str]:
        """The caption of each number."""
        places = zip(*(part.tolist() for part in self._parts(numbers)), strict=True)
        return [
            _filled(self.templates[template], self.captions[image][caption])
            for image, template, caption in places
        ]

    def numbers(
        self, images: np.ndarray, *, caption: np.ndarray | int = 0, template: np.ndarray | int = 0
    ) -> np.ndarray:
        """The numbers of images with their `caption`-th captions, counted round."""
        found: np.ndarray = images + len(self) * (
            template + len(self.templates) * (caption % self.count[images])
        )
        return found

    def every(self, images: np.ndarray, *, template: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of all captions of images, and the place of each one's image in `images`."""
        count = self.count[images]
        place = np.repeat(np.arange(len(images)), count)
        caption = np.arange(len(place)) - (np.cumsum(count) - count)[place]
        return self.numbers(images[place], caption=caption, template=template), place

    def visited(self, numbers: np.ndarray, *, seed: int, visit: int) -> np.ndarray:
        """The numbers with a random caption of each image for a first one.

        It depends on (seed, number, visit) alone: not on the batch, nor on the process.
        """
        if not self.several:
            return numbers
        image, template, _ = self._parts(numbers)
        chance = Noise.of(seed, torch.from_numpy(numbers), "caption", visit).uniform(1)[:, 0]
        caption = (chance.double().numpy() * self.count[image]).astype(np.int64)
        return self.numbers(image, caption=caption, template=template)

    def cut(self, tokenizer: Tokenizer, full: np.ndarray) -> Cut:
        """How many captions, in all their wordings, are too long for a tokenizer.

        Args:
            tokenizer: that reads them.
            full: the rows of `texts` that fill its context; no other one can be too long.
        """
        template, text = np.divmod(full, max(len(self._distinct), 1))
        worded = [
            _filled(self.templates[k], self._distinct[i])
            for k, i in zip(template.tolist(), text.tolist(), strict=True)
        ]
        beyond = np.array(tokens_cut(worded, tokenizer), dtype=np.int64)
        shown = np.bincount(self._which, minlength=len(self._distinct))
        return Cut(
            captions=int(shown[text[beyond > 0]].sum()),
            of=len(self._which) * len(self.templates),
            most=int(beyond.max(initial=0)),
            context=tokenizer.context,
        )

    def _parts(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image, template and caption of each number."""
        worded, image = np.divmod(numbers, len(self))
        caption, template = np.divmod(worded, len(self.templates))
        if (numbers < 0).any() or (caption >= self.count[image]).any():
            raise IndexError(f"no image has such a caption: {numbers.tolist()}")
        return image, template, caption


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
