"""Pictures in every mode that files have, read to known colours; masks of every kind."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from genzoo.core.errors import UsageError
from genzoo.data.folder import Folder
from genzoo.data.input_images import open_mask, open_picture, open_square
from genzoo.data.pictures import on_white, painted, read
from genzoo.data.source import Damaged

LIMIT = 10_000
GREEN, WHITE = (0, 255, 0), (255, 255, 255)


def png(path: Path, *, depth: int, kind: int, rows: bytes, size: int, extra: bytes = b"") -> None:
    """A PNG by its specification, for what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(
            ">I", zlib.crc32(name + data)
        )  # fmt: skip

    header = struct.pack(">IIBBBBB", size, size, depth, kind, 0, 0, 0)
    own = chunk(b"tRNS", extra) if extra else b""
    content = chunk(b"IHDR", header) + own + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b""))


def filled(mode: str, value: object, ending: str) -> Callable[[Path], Path]:
    """Makes a file of one colour."""

    def make(folder: Path) -> Path:
        path = folder / f"a.{ending}"
        Image.new(mode, (4, 4), value).save(path)  # type: ignore[arg-type]
        return path

    return make


def array(values: np.ndarray, ending: str = "tif") -> Callable[[Path], Path]:
    """Makes a file of these numbers."""

    def make(folder: Path) -> Path:
        path = folder / f"a.{ending}"
        Image.fromarray(values).save(path)
        return path

    return make


def half(dtype: str, dark: float, light: float) -> np.ndarray:
    """4 x 4: two columns of one number, two of another."""
    values = np.full((4, 4), dark, dtype=dtype)
    values[:, 2:] = light
    return values


def unsigned(folder: Path) -> Path:
    """A TIFF of unsigned 32-bit numbers, which Pillow reads and does not write."""
    data = half("<u4", 2**31, 2**32 - 1).tobytes()
    tags = [
        (256, 4), (257, 4), (258, 32), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4),
        (279, len(data)), (339, 1),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path = folder / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)
    return path


def lab(folder: Path) -> Path:
    """Half grey in Lab: L* 50 is sRGB 119."""
    path = folder / "a.tif"
    Image.new("LAB", (4, 4), (128, 128, 128)).save(path)
    return path


def rgb16(folder: Path, *, transparent: bool) -> Path:
    """Green with 16 bits a channel, said to be transparent or not."""
    pixel = struct.pack(">HHH", 0x1234, 65535, 0x1234)
    path = folder / "a.png"
    extra = pixel if transparent else b""
    png(path, depth=16, kind=2, rows=(b"\0" + pixel * 4) * 4, size=4, extra=extra)
    return path


def grey16(folder: Path) -> Path:
    """Grey with 16 bits; black is transparent."""
    rows = (b"\0" + struct.pack(">HHHH", 0, 0, 32896, 65535)) * 4
    png(folder / "a.png", depth=16, kind=0, rows=rows, size=4, extra=struct.pack(">H", 0))
    return folder / "a.png"


def palette(folder: Path) -> Path:
    """The first colour is transparent, the second green."""
    image = Image.new("P", (4, 4), 0)
    image.putpalette([9, 9, 9, *GREEN])
    image.paste(1, (2, 0, 4, 4))
    image.save(folder / "a.png", transparency=0)
    return folder / "a.png"


def halves(left: object, right: object) -> np.ndarray:
    """RGB, 4 x 4, of one colour left and another one right."""
    expected = np.empty((4, 4, 3), dtype=np.uint8)
    expected[:, :2], expected[:, 2:] = left, right
    return expected


KNOWN: dict[str, tuple[Callable[[Path], Path], object]] = {
    "1": (filled("1", 1, "png"), WHITE),
    "L": (filled("L", 100, "png"), 100),
    "LA opaque": (filled("LA", (7, 255), "png"), 7),
    "LA half": (filled("LA", (0, 128), "png"), 127),
    "LA none": (filled("LA", (0, 0), "png"), WHITE),
    "P with transparency": (palette, halves(WHITE, GREEN)),
    "RGB": (filled("RGB", GREEN, "png"), GREEN),
    "RGBA none": (filled("RGBA", (*GREEN, 0), "png"), WHITE),
    "RGBA opaque": (filled("RGBA", (*GREEN, 255), "png"), GREEN),
    "RGBX": (filled("RGBX", (*GREEN, 0), "tif"), GREEN),
    "CMYK": (filled("CMYK", (255, 0, 255, 0), "tif"), GREEN),
    "YCbCr": (filled("YCbCr", (150, 128, 128), "tif"), 150),
    "LAB": (lab, 119),
    "I;16 PNG": (array(half("u2", 257, 65535), "png"), halves(1, 255)),
    "I;16 TIFF": (array(half("<u2", 25700, 65535)), halves(100, 255)),
    "I;16B TIFF": (filled("I;16B", 25700, "tif"), 100),
    "I;16 PGM": (array(half("u2", 25700, 65535), "pgm"), halves(100, 255)),
    "I;16 dark": (array(half("u2", 0, 200), "png"), halves(0, 1)),
    "I of 8 bits": (array(half("i4", 3, 255)), halves(3, 255)),
    "I of 16 bits": (array(half("i4", 257, 65535)), halves(1, 255)),
    "I of 31 bits": (array(half("i4", 2**30, 2**31 - 1)), halves(128, 255)),
    "I below zero": (array(half("i4", -70000, 255)), halves(0, 255)),
    "I unsigned": (unsigned, halves(128, 255)),
    "F to 1": (array(half("f4", 0.2, 1.0)), halves(51, 255)),
    "F past 1": (array(half("f4", -0.1, 1.1)), halves(0, 255)),
    "F to 255": (array(half("f4", 51, 255)), halves(51, 255)),
    "F to 65535": (array(half("f4", 25700, 65535)), halves(100, 255)),
    "F of no number": (array(half("f4", np.nan, 1.0)), halves(0, 255)),
    "F without end": (array(half("f4", 0.2, np.inf)), halves(51, 255)),
    "RGB of 16 bits": (lambda folder: rgb16(folder, transparent=False), (0x12, 255, 0x12)),
    "RGB of 16 bits, transparent": (lambda folder: rgb16(folder, transparent=True), WHITE),
    "L of 16 bits, transparent": (
        grey16,
        np.array([255, 255, 128, 255], np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_picture_has_its_known_colours(name: str, tmp_path: Path) -> None:
    """The same for commands, for their squares, and for a folder of data."""
    make, expected = KNOWN[name]
    path = make(tmp_path)
    wanted = np.broadcast_to(np.asarray(expected, dtype=np.uint8), (4, 4, 3))
    np.testing.assert_array_equal(open_picture(path), wanted)
    np.testing.assert_array_equal(open_square(path, 4).permute(1, 2, 0), wanted)
    path.with_suffix(".txt").write_text("a caption")
    np.testing.assert_array_equal(Folder(root=tmp_path, max_pixels=LIMIT).render(0, 4), wanted)


@pytest.mark.parametrize("mode", ["La", "PA", "RGBa", "HSV", "I;16", "I;16L", "I;16B", "I;16N"])
def test_what_only_memory_holds(mode: str) -> None:
    black = on_white(Image.new(mode, (2, 2)))
    clear = mode in ("La", "PA", "RGBa")
    assert (np.asarray(black) == (255 if clear else 0)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda image, path, exif: image.save(path / "a.png", exif=exif),
        lambda image, path, exif: image.save(path / "a.tif", exif=exif),
        lambda image, path, exif: image.convert("L").save(path / "a.tif", exif=exif),
        lambda image, path, exif: Image.fromarray(
            np.asarray(image.convert("L")).astype("u2") * 257
        ).save(path / "a.png", exif=exif),
        lambda image, path, exif: Image.fromarray(
            np.asarray(image.convert("L")).astype("f4") / 255
        ).save(path / "a.tif", exif=exif),
    ],
)
def test_a_camera_turns_pictures_and_masks(
    make: Callable[[Image.Image, Path, Image.Exif], None], tmp_path: Path
) -> None:
    image = Image.new("RGB", (4, 2))
    image.paste(WHITE, (0, 0, 1, 2))  # white on the left: above, once it is turned
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    make(image, tmp_path, exif)
    (path,) = tmp_path.iterdir()
    pixels = open_picture(path)
    assert pixels.shape == (4, 2, 3)
    assert (pixels[0] == 255).all()
    assert (pixels[1:] == 0).all()
    np.testing.assert_array_equal(open_mask(path), pixels[..., 0] > 0)


RIGHT = half("u1", 0, 1).astype(bool)


def on_clear(colour: tuple[int, ...], *, mode: str = "RGBA") -> Callable[[Path], Path]:
    """A mask whose right half is painted on transparent ground."""

    def make(folder: Path) -> Path:
        mask = Image.new(mode, (4, 4), (0,) * len(colour))
        mask.paste(colour, (2, 0, 4, 4))
        mask.save(folder / "a.png")
        return folder / "a.png"

    return make


def clear_white(folder: Path) -> Path:
    """Transparent ground whose hidden colour is white."""
    mask = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    mask.paste((0, 0, 0, 255), (2, 0, 4, 4))
    mask.save(folder / "a.png")
    return folder / "a.png"


def turned(folder: Path) -> Path:
    """White and black painted, and a transparent corner: black says what stays."""
    mask = Image.fromarray(half("u1", 0, 255)).convert("RGBA")
    mask.putpixel((3, 3), (0, 0, 0, 0))
    mask.save(folder / "a.png")
    return folder / "a.png"


def without_corner() -> np.ndarray:
    expected = RIGHT.copy()
    expected[3, 3] = False
    return expected


MASKS: dict[str, tuple[Callable[[Path], Path], np.ndarray]] = {
    "1": (array(half("u1", 0, 1).astype(bool), "png"), RIGHT),
    "L": (array(half("u1", 100, 200), "png"), RIGHT),
    "I;16": (array(half("u2", 257, 65535), "png"), RIGHT),
    "I;16 grey": (array(half("u2", 30000, 40000), "png"), RIGHT),
    "I": (array(half("i4", 1, 2**31 - 1)), RIGHT),
    "F": (array(half("f4", 0.0, 1.0)), RIGHT),
    "opaque RGBA": (
        array(np.dstack([half("u1", 0, 255)] * 3 + [np.full((4, 4), 255, "u1")]), "png"), RIGHT
    ),
    "white on clear": (on_clear((255, 255, 255, 255)), RIGHT),
    "black on clear": (on_clear((0, 0, 0, 255)), RIGHT),
    "red on clear": (on_clear((200, 0, 0, 255)), RIGHT),
    "faint on clear": (on_clear((255, 0, 0, 100)), ~np.ones_like(RIGHT)),
    "grey with alpha": (on_clear((255, 255), mode="LA"), RIGHT),
    "black on clear white": (clear_white, RIGHT),
    "a palette": (palette, RIGHT),
    "white and black on clear": (turned, without_corner()),
    "nothing painted": (filled("RGBA", (0, 0, 0, 0), "png"), ~np.ones_like(RIGHT)),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_what_a_mask_asks_for(name: str, tmp_path: Path) -> None:
    make, expected = MASKS[name]
    np.testing.assert_array_equal(open_mask(make(tmp_path)), expected)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "no plain file"),
        (lambda path: path.touch(), "cannot be decoded"),
        (lambda path: path.write_text("x"), "cannot be decoded"),
        (lambda path: path.symlink_to(path), "levels of symbolic links"),
        (lambda path: Image.new("1", (8001, 8001)).save(path), "too many"),
    ],
)
def test_what_is_no_picture_is_one_line(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / "a.png")
    for opened in (open_picture, open_mask, lambda path: open_square(path, 4)):
        with pytest.raises(UsageError, match=reason) as error:
            opened(tmp_path / "a.png")
        assert "\n" not in str(error.value)
    with pytest.raises(Damaged, match=reason):
        read(tmp_path / "a.png", max_pixels=64_000_000)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled("L", 1, "png")(tmp_path)

    def refuse(*_: object, **__: object) -> None:  # root may read whatever its mode is
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"cannot read .*a\.png \(permission denied\)"):
        open_picture(path)


def test_a_null_reader_would_fail(tmp_path: Path) -> None:
    """Pillow's own `convert` gets most of these wrong: the answers above are not its."""
    wrong = 0
    for number, (make, expected) in enumerate(KNOWN.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Image.open(make(folder)) as image:
            wrong += bool((np.asarray(image.convert("RGB")) != np.asarray(expected)).any())
    assert wrong >= 12
    assert ImageCms.core is not None  # Lab is told by its profile, not by its numbers
    assert painted(Image.new("RGBA", (2, 2))).sum() == 0
