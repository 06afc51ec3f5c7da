"""Folders, zips and npz files of images: what is read, what is skipped, what is refused."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data import image_set, image_sets
from genzoo.data.image_set import Resized, batches, check_skipped
from genzoo.data.image_sets import Archive, open_image_set

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def write_folder(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    for k, image in enumerate(PIXELS):
        name = f"sub/{k}.png" if k == 4 else f"{k}.png"
        (folder / name).write_bytes(png(image))
    return folder


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def stack(path: Path, **options: Any) -> torch.Tensor:
    return torch.cat([batch.pixels for batch in batches(open_image_set(path), **options)])


def test_a_folder_a_zip_and_an_array_hold_the_same_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    archive = write_zip(
        tmp_path / "a.zip", {f"x/{k}.png": png(image) for k, image in enumerate(PIXELS)}
    )
    np.savez(tmp_path / "stored.npz", PIXELS, np.arange(5))
    np.savez_compressed(tmp_path / "packed.npz", PIXELS)
    wanted = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    for place in (folder, archive, tmp_path / "stored.npz", tmp_path / "packed.npz"):
        for size in (2, 64):
            assert torch.equal(stack(place, size=size), wanted), place
    assert open_image_set(folder).name == "a"
    assert open_image_set(archive).name == "a"


def test_an_archive_in_parts_is_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Each rank keeps every second sample, as of two."""
    parts = [
        write_zip(
            tmp_path / f"{rank}.zip", {f"{k}.png": png(PIXELS[k]) for k in range(rank, 5, 2)}
        )
        for rank in (0, 1)
    ]
    images = Archive(tmp_path, parts=parts)
    (batch,) = batches(images, 8)
    assert torch.equal(batch.pixels, torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert images.fingerprint() != Archive(parts[0]).fingerprint()


def test_batches_end_where_sizes_change(tmp_path: Path) -> None:
    for k, side in enumerate((4, 4, 6, 4)):
        Image.new("RGB", (side, 4)).save(tmp_path / f"{k}.png")
    found = list(batches(open_image_set(tmp_path), 8))
    assert [(batch.first, batch.pixels.shape[3]) for batch in found] == [(0, 4), (2, 6), (3, 4)]
    assert found[1].keys == ("2.png",)


def test_a_batch_of_large_images_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_set, "LARGEST", 2 * 64)
    np.savez(tmp_path / "a.npz", PIXELS)
    assert [len(b.keys) for b in batches(open_image_set(tmp_path / "a.npz"), 64)] == [2, 2, 1]


def test_what_is_no_image_is_counted_and_what_is_damaged_skipped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "notes.txt").write_text("x")
    (folder / "grid.png").write_bytes(png(PIXELS[0]))  # an overview of all, as genzoo writes it
    (folder / ".hidden.png").write_bytes(png(PIXELS[0]))
    (tmp_path / "outside.png").write_bytes(png(PIXELS[0]))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(folder / "pipe.png")  # would be waited for
    images = open_image_set(folder)
    (batch,) = batches(images, 8)
    assert len(batch.keys) == 4
    assert images.others == 2
    assert images.skipped.keys() == {"2.png", "link.png", "pipe.png"}
    assert "outside the folder" in images.skipped["link.png"]
    with pytest.raises(GenzooError, match=r"3 of the 7 images .* the first 2\.png: cannot"):
        check_skipped(images, most=0.4)
    check_skipped(images, most=0.5)


def test_a_zip_leads_nowhere_and_does_not_burst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_sets, "BYTES", 10_000)
    image = png(PIXELS[0])
    (tmp_path / "in").mkdir()
    archive = write_zip(
        tmp_path / "in" / "a.zip",
        {
            "good.png": image, "../up.png": image, "/root.png": image, "bomb.png": bytes(10**7),
            "__MACOSX/._good.png": b"x", "sub/.hidden.png": image, "README": b"x",
        },
    )  # fmt: skip
    images = open_image_set(archive)
    assert torch.equal(
        torch.cat([batch.pixels for batch in batches(images, 8)]),
        torch.from_numpy(PIXELS[:1]).permute(0, 3, 1, 2),
    )
    assert images.skipped.keys() == {"../up.png", "/root.png", "bomb.png"}
    assert "bytes are too many" in images.skipped["bomb.png"]
    assert images.others == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "in"]


def test_too_many_pixels_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sets, "LARGEST", 32)
    images = open_image_set(write_folder(tmp_path / "a"))
    assert list(batches(images, 8)) == []
    assert set(images.skipped.values()) == {"8 x 8 pixels are too many"}
    with pytest.raises(GenzooError, match="5 of the 5"):
        check_skipped(images, most=1.0)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


ARRAYS = {
    "no array arr_0": {"images": PIXELS},
    "holds float32": {"arr_0": PIXELS.astype(np.float32)},
    r"has the shape \(5, 3, 8, 8\).*transpose": {"arr_0": PIXELS.transpose(0, 3, 1, 2)},
    r"has the shape \(5, 8, 8\)": {"arr_0": PIXELS[..., 0]},
    "Python objects": {"arr_0": np.array([Evil(), Evil()], dtype=object)},
    "column by column": {"arr_0": np.asfortranarray(PIXELS)},
    "no images": {"arr_0": PIXELS[:0]},
    "pixels": {"arr_0": PIXELS[:, :0]},
}


@pytest.mark.parametrize("words", ARRAYS)
def test_an_array_of_something_else_is_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", allow_pickle=True, **ARRAYS[words])
    with pytest.raises(UsageError, match=words):
        open_image_set("a.npz")
    assert not Path("evil").exists()


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", PIXELS)
    whole = (tmp_path / "good.npz").read_bytes()
    place = whole.index(PIXELS.tobytes())
    cases = {
        "a.npz": (b"no zip", "no npz file, or damaged"),
        "b.zip": (b"no zip", "no zip archive, or damaged"),
        "c.npz": (whole[: len(whole) // 2], "damaged"),
        "d.tar": (whole, "is no set of images"),
        # one bit of a pixel: the archive's checksum tells
        "e.npz": (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], "damaged"),
        # a header that promises more than there is
        "f.npz": (whole.replace(b"(5, 8, 8, 3)", b"(9, 8, 8, 3)"), "and has not|damaged"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=words):
            list(batches(open_image_set(tmp_path / name), 2))
    with pytest.raises(UsageError, match="is not there"):
        open_image_set(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there are no images in"):
        open_image_set(tmp_path / "empty")


def test_resized_is_the_central_square(tmp_path: Path) -> None:
    picture = np.zeros((8, 16, 3), dtype=np.uint8)
    picture[:, 4:12] = 200
    Image.fromarray(picture).save(tmp_path / "0.png")
    Image.fromarray(picture[:4, 4:8]).save(tmp_path / "1.png")
    images = Resized(open_image_set(tmp_path), 4)
    (batch,) = batches(images, 8)
    assert batch.pixels.shape == (2, 3, 4, 4)
    assert set(batch.pixels.unique().tolist()) == {200}
    assert images.changed == 1


def test_fingerprints_change_with_the_content(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a")
    first = open_image_set(folder).fingerprint()
    assert open_image_set(folder).fingerprint() == first
    assert Resized(open_image_set(folder), 4).fingerprint() != first
    (folder / "1.png").write_bytes(png(PIXELS[0]))
    assert open_image_set(folder).fingerprint() != first


def test_names_with_two_orders_are_known(tmp_path: Path) -> None:
    for k in range(9, 11):
        (tmp_path / f"{k}.png").write_bytes(png(PIXELS[0]))
    assert not open_image_set(tmp_path).ordered
    (tmp_path / "9.png").rename(tmp_path / "09.png")
    assert open_image_set(tmp_path).ordered
