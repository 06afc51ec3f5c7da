"""Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747) from its idx files."""

from __future__ import annotations

import gzip
import hashlib
import socket
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.cache import cache_home, lock
from genzoo.data.source import Item, Pixels

INSTALLED = Path("/usr/share/datasets/fashion-mnist")  # of Debian's dataset-fashion-mnist
TEST = "test"
PARTS = {"train": "train", TEST: "t10k"}
WHAT = ("images-idx3-ubyte", "labels-idx1-ubyte")
CLASSES = {  # the authors' name -> caption
    "T-shirt/top": "a t-shirt",
    "Trouser": "trousers",
    "Pullover": "a pullover",
    "Dress": "a dress",
    "Coat": "a coat",
    "Sandal": "a sandal",
    "Shirt": "a shirt",
    "Sneaker": "a sneaker",
    "Bag": "a bag",
    "Ankle boot": "an ankle boot",
}
SIDE, PADDED = 28, 32
IMAGES, LABELS = 0x00000803, 0x00000801  # unsigned bytes in three dimensions, in one
SECONDS = 30.0  # without an answer until a download is given up


class FashionMNIST:
    """Grey images of clothes, captioned by their class.

    Args:
        root: the folder of the idx files, plain or gzipped; None for where Debian's package
            puts them, then for an earlier download.
        download: fetch the files with torchvision where they are not found.
    """

    name = "fashion_mnist"
    attribution: str | None = "Fashion-MNIST by Zalando SE, MIT License"
    label_names = tuple(CLASSES)

    def __init__(self, *, root: str | Path | None, download: bool) -> None:
        self.root = None if root is None else Path(root).expanduser()
        self.download = download

    def fingerprint(self) -> str:
        """Over the files' contents; of a gzipped file, over its packed form."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self._files:
            digest.update(file.read_bytes())
        return f"fashion-mnist-1 {digest.hexdigest()}"

    def items(self) -> Sequence[Item]:
        """The training images, then the test images, which form the split ``test``."""
        captions = list(CLASSES.values())
        return [
            Item(
                key=f"{part}/{i}",
                captions=(captions[label],),
                group=f"{part}/{i}",
                label=label,
                split=TEST if part == TEST else None,
            )
            for part in PARTS
            for i, label in enumerate(self._labels[part].tolist())
        ]

    def render(self, i: int, size: int) -> Pixels:
        """The i-th image, its 28 pixels padded to 32, and resized where that is not `size`."""
        first = self._images["train"]
        grey = first[i] if i < len(first) else self._images[TEST][i - len(first)]
        if size != SIDE:
            grey = np.pad(grey, (PADDED - SIDE) // 2)
        if size not in (SIDE, PADDED):
            picture = Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC)
            grey = np.asarray(picture)
        return np.repeat(grey[..., None], 3, axis=-1)

    @cached_property
    def _files(self) -> list[Path]:
        folder = self._folder()
        return [_find(folder, f"{part}-{what}") for part in PARTS.values() for what in WHAT]

    @cached_property
    def _images(self) -> dict[str, UInt8[np.ndarray, "n 28 28"]]:
        return {
            part: read_idx(file, magic=IMAGES, shape=(SIDE, SIDE))
            for part, file in zip(PARTS, self._files[0::2], strict=True)
        }

    @cached_property
    def _labels(self) -> dict[str, UInt8[np.ndarray, " n"]]:
        labels = {
            part: read_idx(file, magic=LABELS, shape=())
            for part, file in zip(PARTS, self._files[1::2], strict=True)
        }
        for part, file in zip(PARTS, self._files[1::2], strict=True):
            if len(labels[part]) != len(self._images[part]):
                raise _broken(file, "has not one label for each image")
            if labels[part].max(initial=0) >= len(CLASSES):
                raise _broken(file, "contains a class above 9")
        return labels

    def _folder(self) -> Path:
        downloads = cache_home(None) / "downloads"
        fetched = downloads / "FashionMNIST" / "raw"
        for folder in [INSTALLED, fetched] if self.root is None else [self.root]:
            if _complete(folder):
                return folder
        if self.root is not None:
            raise UsageError(
                f"the four idx files of Fashion-MNIST are not all in {self.root}",
                "point data.root=<folder> to them, or leave data.root away to look elsewhere",
            )
        if not self.download:
            raise _absent("downloading is turned off")
        _download(downloads)
        return fetched


def read_idx(path: Path, *, magic: int, shape: tuple[int, ...]) -> UInt8[np.ndarray, "n ..."]:
    """The content of an idx file of bytes, plain or gzipped: big-endian sizes, then the values.

    Args:
        path: the file.
        magic: the number that it has to begin with.
        shape: of one item.

    Raises:
        GenzooError: when it is something else, or shorter or longer than it says.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(path, f"cannot be read ({error})") from error
    header = 4 * (2 + len(shape))
    sizes = (
        tuple(np.frombuffer(data[:header], dtype=">u4").tolist()) if len(data) >= header else ()
    )
    if len(sizes) < 2 or sizes[0] != magic or sizes[2:] != shape:
        raise _broken(path, "is no idx file of the expected kind")
    if len(data) != header + int(np.prod(sizes[1:], dtype=np.int64)):
        raise _broken(path, "is truncated")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(sizes[1:])


def _complete(folder: Path) -> bool:
    return all(
        _find(folder, f"{part}-{what}").is_file() for part in PARTS.values() for what in WHAT
    )


def _find(folder: Path, stem: str) -> Path:
    plain = folder / stem
    return plain if plain.is_file() else folder / f"{stem}.gz"


def _download(folder: Path) -> None:
    """Fetch the files with torchvision, which checks their MD5 sums; one process at a time."""
    from torchvision.datasets import FashionMNIST as Fetch  # takes seconds to import

    try:
        with lock(folder / "fashion-mnist.lock"), _patience(SECONDS):
            Fetch(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise _absent(str(error).splitlines()[0] if str(error) else "no answer") from error


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _absent(reason: str) -> GenzooError:
    return GenzooError(
        f"Fashion-MNIST is not here and cannot be downloaded ({reason})",
        "apt-get install dataset-fashion-mnist, or data.root=<folder of the idx files>",
    )


def _broken(path: Path, how: str) -> GenzooError:
    return GenzooError(f"{path} {how}", "fetch it again, or name another folder with data.root=")
