"""Scenes of shapes: their captions, what is held out, and the judge of pictures."""

from itertools import pairwise, product

import numpy as np
import pytest

from genzoo.core.errors import UsageError
from genzoo.data.raster import paint
from genzoo.data.scene import (
    COLOURS,
    PLACES,
    QUARTERS,
    RELATIONS,
    SHAPES,
    SIZES,
    Mark,
    Scene,
    Thing,
)
from genzoo.data.shape_score import regions, score
from genzoo.data.shapes import Shapes, matches, parse

RED, BLUE = COLOURS["red"], COLOURS["blue"]


def noisy(image, deviation, seed):
    noise = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).round().astype(np.uint8)


def blurred(image):
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return ((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4).round().astype(np.uint8)


def pair(relation="above"):
    return Scene(
        (Thing(1, "small", "red", "circle"), Thing(1, "large", "blue", "square")),
        relation=relation,
    )


def test_captions_name_everything():
    assert pair().caption == "a small red circle above a large blue square"
    assert Scene((Thing(3, "small", "green", "cross"),)).caption == "three small green crosses"
    corner = Scene((Thing(1, "large", "black", "triangle"),), place="in the top left corner")
    assert corner.caption == "a large black triangle in the top left corner"


def test_an_image_depends_on_seed_and_index_alone():
    few, many = Shapes(count=3, seed=1), Shapes(count=50, seed=1)
    assert few.items() == many.items()[:3]
    assert (few.render(2, 32) == many.render(2, 32)).all()
    assert Shapes(count=3, seed=2).items() != few.items()


def test_every_caption_part_occurs():
    captions = " / ".join(item.caption for item in Shapes(count=1500, seed=0).items())
    words = product(SIZES, COLOURS, SHAPES)
    for part in [*PLACES, *RELATIONS, *(" ".join(word) for word in words), "two", "three", "four"]:
        assert part in captions


def test_the_label_names_what_a_viewer_sees_first():
    for item in Shapes(count=200, seed=0).items():
        scene = Scene.of(item.attributes)
        assert scene.caption == item.caption
        assert Shapes.label_names[item.label] == scene.main.kind
    assert pair("above").main.kind == "red circle"
    assert pair("below").main.kind == "blue square"


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("spoil", ["nothing", "noise", "blur"])
def test_the_judge_accepts_what_the_caption_says(size, spoil):
    source = Shapes(count=150, seed=3)
    for i, item in enumerate(source.items()):
        image = source.render(i, size)
        image = {"nothing": image, "noise": noisy(image, 20, i), "blur": blurred(image)}[spoil]
        verdict = score(image, item.attributes)
        assert all(verdict.values()), (item.caption, verdict)


def test_the_judge_rejects_other_captions():
    source = Shapes(count=150, seed=3)
    items = source.items()
    for i, (item, other) in enumerate(pairwise(items)):
        if item.caption != other.caption:
            assert not all(score(source.render(i, 32), other.attributes).values())


def test_channels_may_come_first():
    source = Shapes(count=1, seed=0)
    image = source.render(0, 32).transpose(2, 0, 1)
    assert all(score(image, source.items()[0].attributes).values())


@pytest.mark.parametrize(
    ("marks", "wrong"),
    [
        ([Mark("circle", 0.5, 0.25, 0.115, RED), Mark("square", 0.5, 0.75, 0.18, BLUE)], set()),
        ([Mark("circle", 0.5, 0.25, 0.18, RED), Mark("square", 0.5, 0.75, 0.18, BLUE)], {"size"}),
        ([Mark("cross", 0.5, 0.25, 0.115, RED), Mark("square", 0.5, 0.75, 0.18, BLUE)], {"shape"}),
        (
            [Mark("circle", 0.5, 0.25, 0.115, BLUE), Mark("square", 0.5, 0.75, 0.18, RED)],
            {"colour"},
        ),
        (
            [Mark("circle", 0.5, 0.75, 0.115, RED), Mark("square", 0.5, 0.25, 0.18, BLUE)],
            {"position"},
        ),
        (
            [Mark("circle", 0.25, 0.5, 0.115, RED), Mark("square", 0.75, 0.5, 0.18, BLUE)],
            {"position"},
        ),
        (
            [
                Mark("circle", 0.5, 0.25, 0.115, RED),
                Mark("square", 0.5, 0.75, 0.18, BLUE),
                Mark("square", 0.15, 0.15, 0.115, BLUE),
            ],
            {"count"},
        ),
        (
            [Mark("circle", 0.5, 0.25, 0.115, RED)],
            {"count", "shape", "colour", "size", "position"},
        ),
        ([], {"count", "shape", "colour", "size", "position"}),
    ],
)
def test_each_mistake_is_named(marks, wrong):
    verdict = score(paint(marks, 32), pair().attributes)
    assert {name for name, right in verdict.items() if not right} == wrong


def test_counts_and_places():
    three = Scene((Thing(3, "small", "red", "circle"),)).attributes
    image = paint([Mark("circle", x, y, 0.115, RED) for x, y in QUARTERS[:2]], 32)
    assert score(image, three)["count"] is False
    assert "position" not in score(image, three)
    place = Scene((Thing(1, "small", "red", "circle"),), place="at the top").attributes
    assert all(score(paint([Mark("circle", 0.5, 0.25, 0.115, RED)], 32), place).values())
    elsewhere = score(paint([Mark("circle", 0.25, 0.25, 0.115, RED)], 32), place)
    assert elsewhere == {
        "count": True,
        "colour": True,
        "shape": True,
        "size": True,
        "position": False,
    }


def test_neither_noise_nor_a_full_picture_breaks_the_judge():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for image in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        assert not all(score(image, pair().attributes).values())


def test_touching_shapes_of_two_colours_are_two():
    yellow, black = COLOURS["yellow"], COLOURS["black"]
    marks = [Mark("square", 0.3, 0.5, 0.18, yellow), Mark("circle", 0.66, 0.5, 0.18, black)]
    found = {(region.colour, region.shape) for region in regions(paint(marks, 32))}
    assert found == {("yellow", "square"), ("black", "circle")}


def test_held_out_combinations_form_a_split_of_their_own():
    source = Shapes(count=400, seed=0, held_out=["red circle", "large green"])
    for item in source.items():
        shown = [f"{t['size']} {t['colour']} {t['shape']}" for t in item.attributes["things"]]
        held = any("red circle" in text or text.startswith("large green") for text in shown)
        assert (item.split == "held_out") == held
    assert sum(item.split is None for item in source.items()) > 200


def test_a_relation_is_held_out_both_ways_round():
    pattern = parse("circle above blue square")
    assert matches(pair("above"), pattern)
    assert not matches(pair("below"), pattern)
    assert not matches(pair("left of"), pattern)
    turned = Scene(pair().things[::-1], relation="below")
    assert turned.caption == "a large blue square below a small red circle"
    assert matches(turned, pattern)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("red cirkle", "did you mean 'circle'"),
        ("red blue circle", "never be seen"),
        ("zq", "use the words"),
    ],
)
def test_an_impossible_combination_is_refused(text, hint):
    with pytest.raises(UsageError, match=hint):
        Shapes(count=10, seed=0, held_out=[text])


def test_nothing_to_draw_is_refused():
    with pytest.raises(UsageError, match="count=0"):
        Shapes(count=0, seed=0)
