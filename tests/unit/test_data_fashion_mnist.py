"""Fashion-MNIST from idx files, here a handful of pictures of our own."""

import gzip

import numpy as np
import pytest

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data import fashion_mnist
from genzoo.data.fashion_mnist import FashionMNIST


def pictures(count):
    values = np.arange(count * 28 * 28) % 251
    return values.astype(np.uint8).reshape(count, 28, 28)


def idx(array):
    magic = 0x00000800 + array.ndim
    header = np.array([magic, *array.shape], dtype=">u4").tobytes()
    return header + array.tobytes()


def write(folder, *, packed=False, train=12, test=3):
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        contents = {
            f"{part}-images-idx3-ubyte": pictures(count),
            f"{part}-labels-idx1-ubyte": (np.arange(count) % 10).astype(np.uint8),
        }
        for name, array in contents.items():
            data = gzip.compress(idx(array), mtime=0) if packed else idx(array)
            (folder / (f"{name}.gz" if packed else name)).write_bytes(data)
    return folder


def source(root, download=False):
    return FashionMNIST(root=root, download=download)


@pytest.mark.parametrize("packed", [True, False])
def test_items_and_pixels(tmp_path, packed):
    fashion = source(write(tmp_path, packed=packed))
    items = fashion.items()
    assert [item.split for item in items] == [None] * 12 + ["test"] * 3
    assert (items[9].caption, items[9].label) == ("an ankle boot", 9)
    assert fashion.label_names[items[0].label] == "T-shirt/top"
    assert len({item.key for item in items}) == 15
    pixels = fashion.render(13, 32)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[2:30, 2:30, 1] == pictures(3)[1]).all()
    assert pixels[:2].max() == pixels[:, 30:].max() == 0
    assert (fashion.render(0, 28)[..., 0] == pictures(1)[0]).all()
    assert fashion.render(0, 64).shape == (64, 64, 3)


def test_the_fingerprint_follows_the_files(tmp_path):
    first = source(write(tmp_path / "a")).fingerprint()
    assert source(write(tmp_path / "b")).fingerprint() == first
    assert source(write(tmp_path / "c", test=4)).fingerprint() != first


def test_the_package_of_debian_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "INSTALLED", write(tmp_path / "installed", packed=True))
    assert len(source(None).items()) == 15


def test_an_earlier_download_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "nowhere")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    write(tmp_path / "downloads" / "FashionMNIST" / "raw")
    assert len(source(None).items()) == 15


def test_a_given_folder_without_the_files_is_a_mistake(tmp_path):
    with pytest.raises(UsageError, match=r"idx files.*data\.root=<folder>"):
        source(tmp_path).items()


@pytest.mark.parametrize("download", [True, False])
def test_nowhere_to_be_had(tmp_path, monkeypatch, download):
    monkeypatch.setattr(fashion_mnist, "INSTALLED", tmp_path / "nowhere")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    if download:
        from torchvision.datasets import FashionMNIST as Fetch

        monkeypatch.setattr(Fetch, "mirrors", ["http://127.0.0.1:9/"])
        monkeypatch.setattr("builtins.print", lambda *words: None)
    with pytest.raises(GenzooError, match=r"apt-get install dataset-fashion-mnist.*data\.root="):
        source(None, download=download).items()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-images-idx3-ubyte", lambda data: data[:-5], "truncated"),
        ("train-images-idx3-ubyte", lambda data: data[:3], "no idx file"),
        ("t10k-images-idx3-ubyte", lambda data: b"\x1f\x8b" + data[2:], "no idx file"),
        ("t10k-labels-idx1-ubyte", lambda data: idx(np.zeros(4, dtype=np.uint8)), "one label"),
        ("t10k-labels-idx1-ubyte", lambda data: idx(np.full(3, 10, dtype=np.uint8)), "above 9"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, change, message):
    file = write(tmp_path) / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(GenzooError, match=rf"{name} .*{message}"):
        source(tmp_path).items()


def test_a_truncated_packed_file_is_named(tmp_path):
    file = write(tmp_path, packed=True) / "train-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(GenzooError, match="cannot be read"):
        source(tmp_path).items()
