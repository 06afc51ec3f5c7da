"""Captions of images that other programs generated: by their order, or by the files' names."""

from __future__ import annotations

from pathlib import Path

from genzoo.core.errors import UsageError
from genzoo.data.folder import captions_by_name
from genzoo.data.image_set import ImageSet
from genzoo.tasks.captions import read_captions

BY_NAME = (".jsonl", ".csv")
NAMED = "name the images' captions in a .jsonl or .csv file with file_name and text"


def captions_of_images(path: str | Path, images: ImageSet) -> dict[str, str]:
    """The caption of each image, by its key.

    Args:
        path: a text file with one caption a line, in the order of the images, or one that gives
            each file's name and caption.
        images: all of them.

    Raises:
        UsageError: where the captions are not those of the images.
        GenzooError: for a file that cannot be read.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() in BY_NAME:
        return _by_name(file, images)
    captions = read_captions(file)
    if len(captions) != len(images):
        raise UsageError(
            f"{file} has {len(captions):,} captions, and there are {len(images):,} images in "
            f"{images.path}",
            "write one caption a line, in the order of the files' names",
        )
    if not images.ordered:
        raise UsageError(
            f"the files in {images.path} have another order by their numbers than by their names, "
            "so that nobody knows which caption is whose",
            NAMED,
        )
    return dict(zip(images.keys, captions, strict=True))


def _by_name(file: Path, images: ImageSet) -> dict[str, str]:
    if not file.is_file():
        raise UsageError(f"captions={file}: there is no such file", "name another")
    named = captions_by_name(file)
    missing = [key for key in images.keys if key not in named]
    if missing:
        raise UsageError(
            f"{file} has no caption for {len(missing):,} of the {len(images):,} images, the first "
            f"{missing[0]}",
            NAMED,
        )
    return {key: named[key] for key in images.keys}
