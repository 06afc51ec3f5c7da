"""Samples of an evaluation, kept in the run's folder: a new metric needs no new sampling."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from genzoo.core.errors import GenzooError
from genzoo.core.files import whole, write_whole
from genzoo.data.dataset import TextImageData
from genzoo.data.image_sets import Archive
from genzoo.machine import distributed
from genzoo.metrics.kinship import tensor_hashes
from genzoo.metrics.stamp import Plain
from genzoo.tasks.measuring import Subject, caption_order, origin, shown, without_features

FOLDER, ABOUT = "kept", "about.json"
REMEDY = "evaluate that run again with metrics.keep_samples=true"
# The part of a stamp that belongs to samples, whatever they are measured against.
OF_SAMPLES = (
    *("caption_split", "captions", "given", "training_seed", "sample_seed", "guidance"),
    *("sampler", "precision", "ema"),
)
Keep = Callable[[Sequence[int], Tensor], None]


@dataclass(frozen=True)
class Kept:
    """Samples that an evaluation kept.

    Attributes:
        images: in the order of their numbers.
        captions: that they were generated for, by the images' keys.
        name: of the model.
        stamp: what stamps say of the samples.
        data: name, fingerprint and image size of the data whose captions these are.
        tensors: hashes of the model's and of its guide's tensors, by which kin is known.
    """

    images: Archive
    captions: dict[str, str]
    name: str
    stamp: dict[str, Plain]
    data: dict[str, Plain]
    tensors: dict[str, list[str]]


@contextlib.contextmanager
def keeping(cfg: DictConfig) -> Iterator[Keep]:
    """What keeps this rank's samples, 8-bit images with their numbers; nothing if not asked to."""
    if not cfg.metrics.keep_samples:
        yield lambda numbers, images: None
        return
    folder = Path(cfg.run.folder) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (
        whole(folder / f"samples-{distributed.rank()}.zip") as fresh,
        zipfile.ZipFile(fresh, "w") as archive,  # PNGs are compressed already
    ):

        def keep(numbers: Sequence[int], images: Tensor) -> None:
            for number, image in zip(numbers, images.cpu(), strict=True):
                file = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0))).save(file, "PNG")
                archive.writestr(f"{number:08d}.png", file.getvalue())

        yield keep


def write_about(cfg: DictConfig, data: TextImageData, subject: Subject) -> None:
    """Put down what the samples of all ranks are; of the first process."""
    if not cfg.metrics.keep_samples or distributed.rank() != 0:
        return
    measured = without_features(origin(cfg, data, subject))
    captions = shown(data, caption_order(cfg, data), range(cfg.metrics.images))
    off = getattr(subject.guidance, "scale", None) == 0
    content = {
        "name": cfg.model.name,
        "ranks": distributed.world(),
        "stamp": {key: measured[key] for key in OF_SAMPLES},
        "captions": data.texts_of(captions),
        "data": {key: measured[key] for key in ("data", "data_fingerprint", "image_size")},
        "tensors": {
            "model": tensor_hashes(subject.model),
            "guidance": [] if off else tensor_hashes(subject.guidance),
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_whole(Path(cfg.run.folder) / FOLDER / ABOUT, text)


def has_kept(folder: Path) -> bool:
    """Whether a folder is that of a run which kept its samples."""
    return (folder / FOLDER / ABOUT).is_file()


def read_kept(folder: Path) -> Kept:
    """The samples that the run in a folder kept.

    Raises:
        GenzooError: where they are damaged.
    """
    place = folder / FOLDER
    try:
        said = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        parts = [place / f"samples-{rank}.zip" for rank in range(int(said["ranks"]))]
        images = Archive(place, parts=parts)
        texts = [str(text) for text in said["captions"]]
        kept = Kept(
            images,
            dict(zip(images.keys, texts, strict=True)),
            str(said["name"]),
            {key: _plain(said["stamp"][key]) for key in OF_SAMPLES},
            {key: _plain(value) for key, value in said["data"].items()},
            {key: list(map(str, said["tensors"][key])) for key in ("model", "guidance")},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GenzooError(f"the samples kept in {place} are damaged", REMEDY) from error
    return kept


def _plain(value: Any) -> Plain:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise TypeError(f"{type(value).__name__} is nothing that a stamp says")
    return value
