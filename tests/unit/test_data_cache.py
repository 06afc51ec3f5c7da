"""The image cache: complete or absent, shared, checked, and honest about what it left out."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genzoo.core.errors import GenzooError, UsageError
from genzoo.data.cache import cache_home, open_cache
from genzoo.data.source import Damaged, Item


class Squares:
    """Plain squares whose grey level is their number; counts how often it is asked to draw."""

    name = "squares"
    attribution = None
    label_names = ()

    def __init__(self, count=5, damaged=(), version="1"):
        self.count, self.damaged, self.version, self.drawn = count, damaged, version, 0

    def fingerprint(self):
        return f"squares {self.count} {self.version}"

    def items(self):
        return [
            Item(key=f"square {i}", captions=(str(i),), group=str(i)) for i in range(self.count)
        ]

    def render(self, i, size):
        self.drawn += 1
        if i in self.damaged:
            raise Damaged("torn")
        return np.full((size, size, 3), (i, 100, 200), dtype=np.uint8)


def opened(source, home, max_skipped=0.0, size=4, **extra):
    items = source.items()
    return open_cache(source, items, size=size, home=home, max_skipped=max_skipped, **extra)


def only(home, pattern):
    (found,) = (home / "data").glob(pattern)
    return found


def test_draws_once_channels_first_and_reports_progress(tmp_path):
    source, steps = Squares(), []
    cached = opened(source, tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(k, 5) for k in range(1, 6)]
    images = cached[np.array([3, 0, 3])]
    assert images.shape == (3, 3, 4, 4)
    assert images[:, 0, 0, 0].tolist() == [3, 0, 3]
    assert set(images[:, 1].flat) == {100}
    assert images.flags.writeable
    opened(source, tmp_path)
    assert source.drawn == 5


def test_others_may_read_it_where_the_umask_says_so(tmp_path):
    before = os.umask(0o022)
    try:
        cached = opened(Squares(), tmp_path)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (cached.folder, *cached.folder.iterdir())]
    assert modes == [0o755, 0o644, 0o644, 0o644]


def test_another_source_or_size_has_another_cache(tmp_path):
    opened(Squares(), tmp_path)
    opened(Squares(), tmp_path, size=8)
    opened(Squares(version="2"), tmp_path)
    assert len(list((tmp_path / "data").glob("squares-*/header.json"))) == 3


def flip_a_byte(folder):
    data = bytearray((folder / "images.u8").read_bytes())
    data[17] ^= 1
    (folder / "images.u8").write_bytes(data)


def truncate(folder):
    os.truncate(folder / "images.u8", 10)


def other_header(key, value):
    def change(folder):
        header = json.loads((folder / "header.json").read_text())
        (folder / "header.json").write_text(json.dumps({**header, key: value}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        truncate,
        lambda folder: (folder / "images.u8").unlink(),
        lambda folder: (folder / "header.json").unlink(),
        lambda folder: (folder / "header.json").write_text('{"layout": 1'),
        lambda folder: (folder / "header.json").write_text("[]"),
        lambda folder: (folder / "header.json").write_bytes(b"\xff\xfe\x00"),
        other_header("source", "another"),
        other_header("kept", [0]),
        other_header("blocks", []),
    ],
)
def test_corruption_is_noticed_and_mended(tmp_path, damage):
    source = Squares()
    opened(source, tmp_path)
    damage(only(tmp_path, "squares-*/"))
    cached = opened(source, tmp_path)
    assert source.drawn == 10
    assert cached[np.arange(5)][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_an_interrupted_drawing_leaves_nothing_that_looks_finished(tmp_path):
    source = Squares()

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(source, tmp_path, progress=interrupt)
    assert [path.suffix for path in (tmp_path / "data").iterdir()] == [".lock"]
    assert len(opened(source, tmp_path)) == 5


def test_what_a_killed_process_left_behind_is_cleared_away(tmp_path):
    source = Squares()
    opened(source, tmp_path)
    folder = only(tmp_path, "squares-*/")
    truncate(folder)
    left_over = folder.with_name(f"{folder.name}.tmp-dead")
    left_over.mkdir()
    (left_over / "images.u8").write_bytes(b"half")
    opened(source, tmp_path)
    assert not left_over.exists()


def test_damaged_images_are_left_out_counted_and_named(tmp_path):
    cached = opened(Squares(damaged=(1, 3)), tmp_path, max_skipped=0.4)
    assert cached.header.kept == [0, 2, 4]
    assert cached[np.arange(3)][:, 0, 0, 0].tolist() == [0, 2, 4]
    report = json.loads((cached.folder / "skipped.json").read_text())
    assert (report["items"], report["skipped"]) == (5, 2)
    assert report["named"][1] == {"key": "square 3", "reason": "torn"}


def test_too_many_damaged_images_are_an_error_that_names_one(tmp_path):
    with pytest.raises(GenzooError, match=r"2 of the 5 .* square 1: torn.*max_skipped"):
        opened(Squares(damaged=(1, 3)), tmp_path, max_skipped=0.3)
    assert not list((tmp_path / "data").glob("squares-*/"))


def test_no_share_allows_a_cache_without_images(tmp_path):
    with pytest.raises(GenzooError, match="5 of the 5"):
        opened(Squares(damaged=range(5)), tmp_path, max_skipped=1.0)


def test_crosses_to_another_process_by_name_not_by_content(tmp_path):
    cached = opened(Squares(count=40), tmp_path, size=32)
    packed = pickle.dumps(cached)
    assert len(packed) < 2000
    assert (pickle.loads(packed)[np.array([7])] == cached[np.array([7])]).all()


def test_the_folder_is_chosen_in_order(monkeypatch):
    monkeypatch.delenv("GENZOO_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_home(None) == Path("/home/somebody/.cache/genzoo")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_home(None) == Path("/xdg/genzoo")
    monkeypatch.setenv("GENZOO_CACHE", "/fast")
    assert cache_home(None) == Path("/fast")
    assert cache_home("~/mine") == Path("/home/somebody/mine")


def test_an_unwritable_folder_is_one_line_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*data\.cache=<folder>"):
        opened(Squares(), tmp_path / "file")


START = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_data_cache import Squares, opened
source = Squares(count=200)
print(source.fingerprint(), flush=True)
sys.stdin.readline()
cached = opened(source, Path(sys.argv[2]))
print(source.drawn, int(cached[[7]][0, 0, 0, 0]))
"""


def test_processes_that_start_together_draw_once(tmp_path):
    command = [sys.executable, "-c", START, str(Path(__file__).parent), str(tmp_path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        process.stdout.readline()  # imports are over: from here on they race
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = sorted(process.communicate()[0].strip() for process in started)
    assert answers == ["0 7", "0 7", "200 7"]
