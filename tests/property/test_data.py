"""What holds for splits, streams and drawings whatever the data."""

from collections import Counter
from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genzoo.data.pictures import on_white, square
from genzoo.data.scene import Scene, invent
from genzoo.data.shape_score import score
from genzoo.data.shapes import Shapes, matches, parse
from genzoo.data.source import Item
from genzoo.data.splits import hash_fraction, split
from genzoo.data.stream import ShuffledStream

GROUPS = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=40)
SHARES = st.floats(0, 0.99)
SEEDS = st.integers(0, 2**31)


def items(groups, split_name=None):
    return [Item(str(i), ("",), group=g, split=split_name) for i, g in enumerate(groups)]


@given(GROUPS, SHARES)
def test_every_item_is_in_one_split_with_its_group(groups, validation):
    parts = split(items(groups), validation=validation)
    sides = [{groups[i] for i in part} for part in parts.values()]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(groups)))
    assert sum(map(len, sides)) == len(set(groups))
    assert len(parts["train"]) > 0
    assert (len(parts["validation"]) > 0) == (validation > 0 and len(set(groups)) > 1)


@given(GROUPS, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_items_moves_nothing(groups, validation, random):
    turned = list(groups)
    random.shuffle(turned)
    parts, again = (split(items(g), validation=validation) for g in (groups, turned))
    for name, part in parts.items():
        assert {groups[i] for i in part} == {turned[i] for i in again[name]}


@given(st.integers(300, 600), st.floats(0.1, 0.5))
@settings(max_examples=20)
def test_the_share_is_about_what_was_asked_for(count, validation):
    parts = split(items([f"group {i}" for i in range(count)]), validation=validation)
    assert abs(len(parts["validation"]) / count - validation) < 0.12


def test_the_hash_is_the_same_everywhere():
    assert round(hash_fraction("red heart"), 6) == 0.951987


@given(st.integers(1, 30), SEEDS, st.integers(1, 9), st.integers(0, 100))
def test_each_shuffle_shows_every_item_once(count, seed, batch_size, start):
    indices = np.arange(count) * 3 + 1
    stream = ShuffledStream(indices, seed=seed, batch_size=batch_size)
    epoch = start // count
    assert sorted(stream.at(epoch * count, count).tolist()) == indices.tolist()
    seen = Counter(stream.at(start, 2 * count).tolist())
    assert set(seen) == set(indices.tolist())
    assert max(seen.values()) <= 3


def take(stream, steps):
    batches = iter(stream)
    return [next(batches) for _ in range(steps)]


@given(st.integers(1, 30), SEEDS, st.integers(1, 5), st.integers(1, 4), st.integers(0, 90))
def test_ranks_share_what_one_would_see_from_any_start(count, seed, batch_size, world, start):
    indices = list(range(100, 100 + count))
    together = {"seed": seed, "start_images": start}
    one = take(ShuffledStream(indices, batch_size=batch_size * world, **together), 6)
    ranks = [
        take(ShuffledStream(indices, batch_size=batch_size, rank=r, world=world, **together), 6)
        for r in range(world)
    ]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == one


@given(st.integers(1, 30), SEEDS, st.integers(1, 5), st.integers(0, 12))
def test_resuming_equals_going_on(count, seed, batch_size, steps):
    whole = take(ShuffledStream(range(count), seed=seed, batch_size=batch_size), steps + 5)
    start = {"start_images": steps * batch_size}
    rest = take(ShuffledStream(range(count), seed=seed, batch_size=batch_size, **start), 5)
    assert rest == whole[steps:]


def test_seeds_and_epochs_differ():
    stream, other = (ShuffledStream(range(50), seed=s, batch_size=1) for s in (0, 1))
    first, second, elsewhere = stream.at(0, 50), stream.at(50, 50), other.at(0, 50)
    assert (first != second).any()
    assert (first != elsewhere).any()
    assert (first != np.arange(50)).any()


@given(SEEDS, st.sampled_from([32, 48, 64]))
@settings(deadline=None, max_examples=40)
def test_every_drawing_shows_its_caption(seed, size):
    source = Shapes(count=1, seed=seed)
    (item,) = source.items()
    pixels = source.render(0, size)
    assert pixels.shape == (size, size, 3)
    assert all(score(pixels, item.attributes).values()), item.caption


@given(SEEDS)
@settings(max_examples=60)
def test_a_scene_survives_as_plain_data(seed):
    scene = invent(np.random.default_rng(seed))
    assert Scene.of(scene.attributes) == scene
    thing = scene.things[0]
    assert matches(scene, parse(f"{thing.size} {thing.colour} {thing.shape}"))


@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1"])
)
@settings(deadline=None, max_examples=40)
def test_any_picture_becomes_a_square(width, height, mode):
    pixels = square(on_white(Image.new(mode, (width, height))), 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
