"""Folders of images: the ways to caption them, and files that are not what they should be."""

import hashlib
import json
import os
import zlib

import numpy as np
import pytest
from PIL import Image

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.folder import Folder
from genzoo.data.source import Damaged

RED, WHITE = (255, 0, 0), (255, 255, 255)


def folder(root, max_pixels=10_000):
    return Folder(root=root, max_pixels=max_pixels)


def caption(root, names, text="a thing"):
    lines = [json.dumps({"file_name": name, "text": text}) for name in names]
    (root / "metadata.jsonl").write_text("\n".join(lines) + "\n")


def plain(path, colour=RED, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


def drawn(root, name, size=8, **options):
    """The pixels of the only image, captioned by a metadata file."""
    caption(root, [name])
    return folder(root, **options).render(0, size)


def test_jsonl(tmp_path):
    plain(tmp_path / "sub" / "a.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "sub/a.png", "text": " a red thing "}\n\n'
        '{"file_name": "b.png", "text": "ü"}\n'
    )
    first, second = folder(tmp_path).items()
    assert (first.key, first.caption, second.caption) == ("sub/a.png", "a red thing", "ü")
    assert (folder(tmp_path).render(0, 4) == RED).all()


def test_csv_with_quotes_commas_and_a_byte_order_mark(tmp_path):
    plain(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile_name,extra,text\na.png,1,"red, and\nsquare"\n', encoding="utf-8"
    )
    (item,) = folder(tmp_path).items()
    assert (item.key, item.caption) == ("a.png", "red, and\nsquare")


def test_text_files_beside_the_images(tmp_path):
    plain(tmp_path / "b.png")
    plain(tmp_path / "deep" / "a.JPG")
    plain(tmp_path / "uncaptioned.png")
    (tmp_path / "b.txt").write_text("the\n second ")
    (tmp_path / "deep" / "a.txt").write_text("first")
    (tmp_path / "notes.txt").write_text("no image")
    items = folder(tmp_path).items()
    assert [(i.key, i.caption) for i in items] == [
        ("b.png", "the second"),
        ("deep/a.JPG", "first"),
    ]


def test_several_captions_in_every_form(tmp_path):
    plain(tmp_path / "a.png")
    plain(tmp_path / "b.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,one\nb.png,other\na.png,two\n")
    a, b = folder(tmp_path).items()
    assert (a.key, a.captions, a.caption) == ("a.png", ("one", "two"), "one")
    assert (b.key, b.captions) == ("b.png", ("other",))
    lines = ('{"file_name": "b.png", "text": ["x", " y "]}', '{"file_name": "b.png", "text": "z"}')
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    (item,) = folder(tmp_path).items()
    assert item.captions == ("x", "y", "z")
    assert (folder(tmp_path).render(0, 4) == RED).all()


def test_lines_of_a_text_file_are_one_caption_or_several(tmp_path):
    for name, text in (("a", "the\n first "), ("b", "one \n\n  another\r\nthird"), ("c", " \n")):
        plain(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(text)
    joined = [item.captions for item in folder(tmp_path).items()]
    assert joined == [("the first",), ("one another third",), ("",)]
    lines = Folder(root=tmp_path, max_pixels=100, lines="separate")
    assert [item.captions for item in lines.items()] == [
        ("the", "first"),
        ("one", "another", "third"),
        ("",),
    ]


def test_the_fingerprint_of_one_caption_each_is_what_it_was(tmp_path):
    plain(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", ns=(1, 1))
    caption(tmp_path, ["a.png"])
    known = json.dumps(["a.png", "a thing", (tmp_path / "a.png").stat().st_size, 1])
    digest = hashlib.blake2b(b"folder-2 10000", digest_size=16)
    digest.update(known.encode())
    assert folder(tmp_path).fingerprint() == f"folder-2 {digest.hexdigest()}"
    caption(tmp_path, ["a.png", "a.png"])
    assert folder(tmp_path).fingerprint() != f"folder-2 {digest.hexdigest()}"


def test_the_fingerprint_follows_images_and_captions(tmp_path):
    plain(tmp_path / "a.png")
    caption(tmp_path, ["a.png"])
    before = folder(tmp_path).fingerprint()
    assert folder(tmp_path).fingerprint() == before
    caption(tmp_path, ["a.png"], text="another")
    captioned = folder(tmp_path).fingerprint()
    plain(tmp_path / "a.png", size=(9, 9))
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert len({before, captioned, folder(tmp_path).fingerprint()}) == 3


def test_transparent_is_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 4))
    image.save(tmp_path / "a.png")
    pixels = drawn(tmp_path, "a.png")
    assert (pixels[:3] == WHITE).all()
    assert (pixels[5:] == RED).all()


def test_a_palette_with_a_transparent_entry(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, *RED])
    image.paste(1, (0, 4, 8, 8))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = drawn(tmp_path, "a.png")
    assert (pixels[0] == WHITE).all()
    assert (pixels[7] == RED).all()


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 100, 100),
        ("1", 1, 255),
        ("I;16", 32896, 128),
        ("CMYK", (0, 0, 0, 0), 255),
        ("LA", (7, 255), 7),
    ],
)
def test_other_modes(tmp_path, mode, value, expected):
    Image.new(mode, (8, 8), value).save(tmp_path / "a.tif")
    assert (drawn(tmp_path, "a.tif") == expected).all()


def test_photographs_are_turned_upright(tmp_path):
    image = Image.new("RGB", (8, 8), WHITE)
    image.paste(RED, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=exif)
    pixels = drawn(tmp_path, "a.png")
    assert (pixels[7] == RED).all()
    assert (pixels[0] == WHITE).all()


def test_the_central_square_is_resized_without_aliasing(tmp_path):
    image = Image.new("RGB", (96, 32), RED)
    stripes = np.zeros((32, 32, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    image.paste(Image.fromarray(stripes), (32, 0))
    image.save(tmp_path / "a.png")
    pixels = drawn(tmp_path, "a.png", size=4)
    assert pixels.shape == (4, 4, 3)
    assert abs(pixels.astype(int) - 128).max() <= 12  # neither red, nor black, nor white


def broken_png(path):
    plain(path, size=(64, 64))
    path.write_bytes(path.read_bytes()[:60])


def flipped_png(path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = bytearray(path.read_bytes())
    data[300] ^= 0xFF
    path.write_bytes(data)


def bomb(path):
    """A PNG of some hundred bytes that claims 60000 x 60000 pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + crc.to_bytes(4, "big")

    header = (60000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (broken_png, "cannot be decoded"),
        (flipped_png, "cannot be decoded"),
        (bomb, "pixels"),
        (lambda path: plain(path, size=(200, 100)), "200 x 100 pixels are too many"),
        (lambda path: path.write_bytes(b""), "cannot be decoded"),
        (lambda path: path.write_text("hello"), "cannot be decoded"),
        # Pillow has a decoder for it, but not one that anybody needs here.
        (lambda path: Image.new("RGB", (8, 8)).save(path, format="SGI"), "cannot be decoded"),
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "no plain file"),
        (os.mkfifo, "no plain file"),
        (lambda path: path.symlink_to(path), "no such file"),
    ],
)
def test_a_damaged_image_says_why(tmp_path, make, reason):
    make(tmp_path / "a.png")
    with pytest.raises(Damaged, match=reason) as damage:
        drawn(tmp_path, "a.png")
    assert str(tmp_path) not in damage.value.reason


@pytest.mark.parametrize("name", ["../secret.png", "x/../../secret.png", "link.png", "\0.png"])
def test_nothing_outside_the_folder_is_opened(tmp_path, name):
    plain(tmp_path / "secret.png")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(Damaged, match=r"outside|no such file"):
        drawn(inside, name)
    with pytest.raises(Damaged, match="outside"):
        drawn(inside, str(tmp_path / "secret.png"))


def test_links_within_the_folder_and_to_the_folder_are_followed(tmp_path):
    plain(tmp_path / "real" / "a.png")
    (tmp_path / "real" / "b.png").symlink_to("a.png")
    caption(tmp_path / "real", ["b.png"])
    (tmp_path / "link").symlink_to("real")
    assert (folder(tmp_path / "link").render(0, 4) == RED).all()


def test_a_caption_is_not_read_from_outside(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    plain(tmp_path / "inside" / "a.png")
    (tmp_path / "inside" / "a.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(GenzooError, match="out of the folder"):
        folder(tmp_path / "inside").items()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "text": "x"}\n{"file', "line 2 is not JSON"),
        ("metadata.jsonl", '{"file_name": "a.png"}', "line 1 lacks"),
        ("metadata.jsonl", "[1]", "line 1 lacks"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": []}', "line 1 lacks"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": ["x", 1]}', "line 1 lacks"),
        ("metadata.csv", "file_name,caption\na.png,x\n", "line 2 lacks"),
        ("metadata.csv", b"file_name,text\na.png,\xff\n", "UTF-8"),
        ("readme.md", "hello", "no captioned image"),
    ],
)
def test_a_wrong_metadata_file_is_one_line_with_the_place(tmp_path, file, content, message):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / file).write_bytes(data)
    with pytest.raises(GenzooError, match=message) as error:
        folder(tmp_path).items()
    assert "\n" not in str(error.value)


def test_no_folder(tmp_path):
    with pytest.raises(UsageError, match=r"data\.root=<folder>"):
        folder(None)
    with pytest.raises(UsageError, match="there is no folder"):
        folder(tmp_path / "absent")
