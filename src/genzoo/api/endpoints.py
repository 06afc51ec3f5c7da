"""The endpoints of an interpolation from Python: two captions, or two images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.core.arguments import optional_text
from genzoo.core.errors import UsageError
from genzoo.data.folder import ENDINGS
from genzoo.data.input_images import Picture

Captions = tuple[str | None, str | None]


def kind_of(start: Picture, end: Picture) -> str:
    """Whether two endpoints are "captions" or "images".

    Raises:
        UsageError: for one of each, or strings that are files' names.
    """
    texts = [isinstance(place, str) for place in (start, end)]
    for place in (start, end):
        if isinstance(place, str) and Path(place).suffix.lower() in ENDINGS:
            raise UsageError(
                f"{place!r} is the name of an image file, and a string is a caption here",
                f"write pathlib.Path({place!r}) for the image",
            )
    if texts[0] != texts[1]:
        raise UsageError(
            "one endpoint is a caption and the other an image",
            "give two captions, or two images (files as pathlib.Path)",
        )
    return "captions" if texts[0] else "images"


def pair_of(captions: Any) -> Captions:
    """The captions of two images; one for the first alone counts for both.

    Raises:
        UsageError: for anything but two texts or Nones.
    """
    if captions is None:
        return None, None
    if isinstance(captions, str) or not isinstance(captions, list | tuple) or len(captions) != 2:
        raise UsageError(
            "captions= of an interpolation are two, of the first image and of the last",
            'give a pair: captions=("a red heart", "a blue star")',
        )
    first, last = (optional_text(caption, name="captions") for caption in captions)
    return first, first if last is None else last
