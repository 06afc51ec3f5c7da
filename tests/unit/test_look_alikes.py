"""Images with identical pixels lie in one split, whatever their names are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from genzoo.core.errors import UsageError
from genzoo.data.cache import Cached, open_cache
from genzoo.data.look_alikes import LookAlikes, find, merged_groups
from genzoo.data.source import Damaged, Item
from genzoo.data.splits import DUPLICATES, TRAIN, VALIDATION, split
from genzoo.run import build
from tests.captioned import captioned_folder, opened


def items(names: str, **splits: str) -> list[Item]:
    return [Item(name, ("",), name, split=splits.get(name)) for name in names]


def sides(given: list[Item], alike: list[list[int]], validation: float = 0.5) -> dict[str, str]:
    parts = split(given, validation=validation, alike=alike)
    return {given[i].key: name for name, part in parts.items() for i in part.tolist()}


def test_copies_under_other_names_are_one_group(tmp_path: Path) -> None:
    captioned_folder(tmp_path, images=24, captions=1)
    before = opened(tmp_path)
    held = {before.keys[i] for i in before.split(VALIDATION)}
    trained = {before.keys[i] for i in before.split(TRAIN)}
    copies = {f"copy of {name}": name for name in (*sorted(held)[:2], *sorted(trained)[:6])}
    rows = (tmp_path / "metadata.jsonl").read_text()
    for copy, name in copies.items():
        shutil.copy(tmp_path / name, tmp_path / copy)
        rows += "\n" + json.dumps({"file_name": copy, "text": "the same image"})
    (tmp_path / "metadata.jsonl").write_text(rows)

    data = opened(tmp_path)
    assert len(data) == 32
    side = {data.keys[i]: name for name in data.splits for i in data.split(name)}
    for copy, name in copies.items():
        assert side[copy] == side[name]
    assert all(side[name] == VALIDATION for name in held)  # numbers come before "copy"
    assert all(side[name] == TRAIN for name in trained)
    pixels = {
        name: {p.tobytes() for p in data.images(data.split(name)).numpy()} for name in data.splits
    }
    assert pixels[TRAIN].isdisjoint(pixels[VALIDATION])
    assert data.look_alikes == LookAlikes(images=16, sets=8, joined=16, parted=0)


def test_their_order_moves_nothing_and_a_third_moves_no_other_group() -> None:
    names = "abcdefghijklmnop"
    given, alike = items(names), [[0, 5], [5, 9], [2, 3]]
    before = sides(given, alike)
    assert before["a"] == before["f"] == before["j"]
    assert before["c"] == before["d"]
    turned = [len(names) - 1 - i for i in range(len(names))]
    again = sides(given[::-1], [[turned[i] for i in one] for one in alike][::-1])
    assert again == before
    alone = sides(given, [])
    assert {name for name in names if alone[name] != before[name]} <= set("fjd")
    more = sides([*given, *items("q")], [*alike, [0, 16]])
    assert {name: more[name] for name in names} == before
    assert more["q"] == before["a"]


def test_the_share_stays_what_was_asked_for_where_all_images_are_there_twice() -> None:
    given = [Item(f"{i}", ("",), f"{i}") for i in range(2000)]
    parts = split(given, validation=0.2, alike=[[i, i + 1000] for i in range(1000)])
    assert abs(len(parts[VALIDATION]) / 2000 - 0.2) < 0.04


def test_a_published_split_stays_and_its_images_are_not_trained_on() -> None:
    given = items("abcdefghijklmnop", p="test", o="test", n="other")
    found = sides(given, [[0, 15], [14, 13], [0, 1]])
    assert (found["p"], found["o"], found["n"]) == ("test", "test", "other")
    assert {name for name, side in found.items() if side == DUPLICATES} == {"a", "b"}
    assert DUPLICATES not in sides(given, [[2, 3]]).values()
    with pytest.raises(UsageError, match="left for training"):
        sides(items("ab", b="test"), [[0, 1]])


def test_groups_that_share_an_image_are_one() -> None:
    given = [Item(f"{i}", ("",), group) for i, group in enumerate("aabbccdd")]
    found = merged_groups(given, [[1, 2], [3, 4], [6, 7]])
    assert found == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_equal_pixels_are_found() -> None:
    images = np.zeros((6, 3, 2, 2), dtype=np.uint8)
    images[[1, 4], 0, 0, 0] = 7
    images[5, 0, 0, 1] = 7  # elsewhere
    assert find(images, 6) == [[0, 2, 3], [1, 4]]
    assert find(images[:0], 0) == []


class Pairs:
    """Squares of which each grey level is there twice; one cannot be used."""

    name = "pairs"
    attribution: str | None = None
    label_names: tuple[str, ...] = ()
    rendered = 0

    def fingerprint(self) -> str:
        return "pairs"

    def items(self) -> list[Item]:
        return items("abcdef")

    def render(self, i: int, size: int) -> np.ndarray:
        self.rendered += 1
        if i == 1:
            raise Damaged("torn")
        return np.full((size, size, 3), i // 2, dtype=np.uint8)


def test_the_report_of_the_cache_counts_and_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Pairs()

    def cached() -> Cached:
        return open_cache(source, source.items(), size=4, home=tmp_path, max_skipped=0.5)

    folder = cached().folder
    assert cached().header.alike == [[1, 2], [3, 4]]  # among those that are kept
    report = json.loads((folder / "skipped.json").read_text())
    assert (report["look_alikes"], report["look_alike_sets"]) == (4, 2)
    assert report["alike"] == [["c", "d"], ["e", "f"]]
    assert report["named"] == [{"key": "b", "reason": "torn"}]

    # A cache of an earlier version does not know them, and is not rendered again.
    header = json.loads((folder / "header.json").read_text())
    del header["alike"]
    (folder / "header.json").write_text(json.dumps(header))
    (folder / "skipped.json").write_text('{"items": 6, "skipped": 1, "named": []}')
    with monkeypatch.context() as patch:
        patch.setattr("genzoo.data.cache.write_whole", read_only)
        assert cached().header.alike == [[1, 2], [3, 4]]
        assert "alike" not in json.loads((folder / "header.json").read_text())
    assert cached().header.alike == [[1, 2], [3, 4]]
    assert json.loads((folder / "header.json").read_text())["alike"] == [[1, 2], [3, 4]]
    report = json.loads((folder / "skipped.json").read_text())
    assert (report["skipped"], report["look_alikes"]) == (1, 4)
    assert source.rendered == 6


def read_only(path: Path, text: str) -> None:
    raise PermissionError(path)


def test_a_run_says_how_many_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioned_folder(tmp_path, images=12, captions=2)
    shutil.copy(tmp_path / "00.png", tmp_path / "11.png")
    data = opened(tmp_path)
    monkeypatch.setattr(build, "build", lambda *_, **__: data)
    build.build_data(OmegaConf.create({"data": {}}))
    out = capsys.readouterr().out
    assert "  24 captions; training takes a random one of an image at each visit" in out
    said = "  1 set of identical images (2 images), each in one split; 2 groups are joined by them"
    assert f"{said}, see {data.report}" in out
