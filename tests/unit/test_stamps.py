"""What a stamp says, what of it forbids ranking, and who is shown and not ranked."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genzoo.config.paths import zoo_dir
from genzoo.core.digest import of_items, of_weights
from genzoo.core.types import Capabilities
from genzoo.diffusion.guidance import Classifier
from genzoo.metrics import domain
from genzoo.metrics.kinship import (
    TrainedOn,
    familiarity,
    kinship,
    kinship_by_hashes,
    tensor_hashes,
    weights_hash,
)
from genzoo.metrics.stamp import KEYS, Origin, comparable, set_apart
from genzoo.report.comparison import Comparison, compare_runs
from genzoo.report.runs import find_runs, load_run
from genzoo.report.text import footnotes
from genzoo.run.scorers import load_scorer
from genzoo.tasks.measuring import Subject, about_network
from genzoo.weights.checkpoint import read
from tests.fake_runs import FRECHET, edit_json, metric, write_run

DOCS = Path(__file__).parents[2] / "docs" / "stamps.md"


def compare(folder: Path) -> Comparison:
    return compare_runs([load_run(run) for run in find_runs([folder])])


def ranks(comparison: Comparison, name: str = FRECHET) -> dict[str, str | None]:
    return {entry.label: entry.cells[name].rank for entry in comparison.entries}


def test_the_list_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    expected = [
        (
            name,
            key.role,
            key.means + (f"; counts only without `{key.instead}`" if key.instead else ""),
        )
        for name, key in KEYS.items()
    ]
    assert rows == expected


@pytest.mark.parametrize("given", ["a smaller real image", "the embedding of a real image"])
def test_who_was_given_a_real_image_is_not_ranked_with_the_others(
    tmp_path: Path, given: str
) -> None:
    """An upsampler, which starts from the real images made small, was marked best."""
    for model, value in (("glide", 50.0), ("vae", 60.0)):
        write_run(tmp_path / model, model=model, metrics=metric(FRECHET, value, given="nothing"))
    write_run(tmp_path / "up", model="up", metrics=metric(FRECHET, 3.0, given=given))
    comparison = compare(tmp_path)
    assert ranks(comparison) == {"glide": "best", "up": None, "vae": None}
    (note,) = footnotes(comparison)
    assert f"up is shown and not ranked with the others (given {given})" in note


def test_models_that_were_given_the_same_are_ranked(tmp_path: Path) -> None:
    for model, value in (("a", 3.0), ("b", 4.0)):
        given = metric(FRECHET, value, given="a smaller real image")
        write_run(tmp_path / model, model=model, metrics=given)
    assert ranks(compare(tmp_path)) == {"a": "best", "b": None}


def test_older_results_say_by_their_capabilities_what_was_given(tmp_path: Path) -> None:
    write_run(tmp_path / "a", model="a", metrics=metric(FRECHET, 9.0))
    write_run(tmp_path / "b", model="b", metrics=metric(FRECHET, 8.0))
    up = write_run(tmp_path / "up", model="up", metrics=metric(FRECHET, 3.0))
    can = {"conditions": ["low_res", "text"]}
    edit_json(up / "results.json", model={"name": "up", "capabilities": can})
    assert ranks(compare(tmp_path)) == {"a": None, "b": "best", "up": None}


def test_conditions_say_what_is_given() -> None:
    def given(*conditions: str) -> str:
        return Capabilities(sampling="x", conditions=frozenset(conditions)).given

    assert given("text", "label") == "nothing"
    assert given("text", "low_res") == "a smaller real image"
    assert given("embedding") == "the embedding of a real image"
    assert given("mask") == "mask", "a family of somebody else's"


def test_a_scorer_that_is_kin_is_shown_and_the_others_are_ranked(tmp_path: Path) -> None:
    for model, value in (("a", 20.0), ("b", 21.0)):
        score = metric("clip_score", value, better="higher", scorer_kinship=None)
        write_run(tmp_path / model, model=model, metrics=score)
    kin = "scored by a part of itself (62 of the scorer's 62 tensors)"
    seen = "the train split of the same data, with these captions"
    told = {"scorer_kinship": kin, "scorer_trained_on": seen}
    score = metric("clip_score", 30.0, better="higher", **told)
    write_run(tmp_path / "c", model="c", metrics=score)
    comparison = compare(tmp_path)
    assert ranks(comparison, "clip_score") == {"a": None, "b": "best", "c": None}
    assert comparison.entries[2].cells["clip_score"].value == 30.0
    apart, trained = footnotes(comparison)
    assert apart == f"CLIP score: c is shown and not ranked with the others ({kin})."
    assert "trained on the train split of the same data, with these captions" in trained


def test_kinship_forbids_ranking_even_with_its_like() -> None:
    kin = {"metric": "clip_score", "scorer_kinship": "scored by what guided it (2 of 2)"}
    assert comparable(kin, kin) == ["scorer_kinship"]
    assert comparable({**kin, "scorer_kinship": None}, {"metric": "clip_score"}) == []
    assert set_apart({"given": "nothing", "scorer_kinship": None}) is None


@pytest.mark.parametrize(
    ("key", "instead"), [("clip", "scorer_weights"), ("data", "data_fingerprint")]
)
def test_names_count_only_where_there_is_no_hash(key: str, instead: str) -> None:
    a, b = {key: "one"}, {key: "two"}
    assert comparable(a, b) == [key]
    assert comparable({**a, instead: "f"}, {**b, instead: "f"}) == []
    assert comparable({**a, instead: "f"}, {**b, instead: "g"}) == [instead]
    assert comparable({**a, instead: "f"}, b) == sorted([key, instead])


def test_what_chose_images_and_captions_is_compared_by_what_it_chose() -> None:
    a = {"evaluation_seed": 1, "real_indices": "x", "captions": "y", "training_seed": 0}
    assert comparable(a, {**a, "evaluation_seed": 2, "training_seed": 3}) == []
    assert comparable(a, {**a, "real_indices": "z", "captions": "z"}) == [
        "captions",
        "real_indices",
    ]
    assert comparable(a, {}) == ["captions", "real_indices"], "an older stamp does not say it"


def test_an_older_number_says_that_it_is_not_recorded(tmp_path: Path) -> None:
    write_run(tmp_path / "a", model="a", metrics=metric(FRECHET, 9.0, real_indices="x"))
    write_run(tmp_path / "b", model="b", metrics=metric(FRECHET, 8.0))
    (note,) = footnotes(compare(tmp_path))
    assert "real_indices is x (a), not recorded (b)" in note


def test_another_definition_is_not_ranked_and_the_first_is_assumed() -> None:
    assert comparable({"revision": 2}, {}) == ["revision"]
    assert comparable({"revision": 1}, {}) == []


class Scorer(nn.Module):
    noise_aware = False

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.inner = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))

    def log_likelihood(self, cond: Any) -> Any:
        raise NotImplementedError


class Model(nn.Module):
    def __init__(self, scorer: nn.Module, seed: int = 9) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.clip, self.own = scorer, nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))


def test_a_scorer_inside_what_it_scores_is_found_by_its_tensors() -> None:
    scorer = Scorer(0)
    inside = Model(Scorer(0))
    found = kinship(scorer, model=inside, guidance=None)
    assert found == "scored by a part of itself (4 of the scorer's 4 tensors)"


def test_the_clip_of_the_zoo_is_a_part_of_its_unclip() -> None:
    """`make demo` ranked unCLIP's CLIP score, given by the CLIP inside it."""
    scorer = load_scorer("zoo/clip_16", output="", weights_dir=None)
    for name, kin in (("unclip_16", True), ("glide_16", False)):
        checkpoint = read(zoo_dir() / f"{name}.safetensors")
        model = nn.ParameterList(checkpoint.ema.values()).requires_grad_(False)
        found = kinship(scorer, model=model, guidance=None)
        expected = "scored by a part of itself (62 of the scorer's 62 tensors)"
        assert found == (expected if kin else None)


def test_strangers_with_equal_constants_are_not_kin() -> None:
    """The null model: every LayerNorm begins with ones and zeros."""
    assert kinship(Scorer(0), model=Model(Scorer(1)), guidance=Scorer(2)) is None


def test_a_guide_is_kin_unless_it_is_off() -> None:
    guide = Scorer(0)
    found = kinship(Scorer(0), model=Model(Scorer(1)), guidance=Classifier(guide, 2.0))
    assert found == "scored by what guided it (4 of the scorer's 4 tensors)"
    assert kinship(Scorer(0), model=None, guidance=Classifier(guide, 0.0)) is None


def test_kin_is_found_by_hashes_alone() -> None:
    def found(model: object, guidance: object) -> str | None:
        hashes = {"model": tensor_hashes(model), "guidance": tensor_hashes(guidance)}
        return kinship_by_hashes(Scorer(0), **hashes)

    assert (found(Model(Scorer(0)), None) or "").startswith("scored by a part of itself")
    assert (found(Model(Scorer(1)), Scorer(0)) or "").startswith("scored by what guided it")
    assert found(Model(Scorer(1)), Scorer(2)) is None, "equal constants make no kin"


def test_what_a_scorer_has_seen() -> None:
    def words(trained: TrainedOn | None, split: str = "train") -> str | None:
        return familiarity(trained, name="emoji", fingerprint="f", caption_split=split)

    assert words(None) is None
    assert (
        words(TrainedOn("emoji", "f")) == "the train split of the same data, with these captions"
    )
    assert str(words(TrainedOn("emoji", "f"), "validation")).endswith("without these captions")
    assert "perhaps" in str(words(TrainedOn("emoji", "g")))
    assert words(TrainedOn("birds", "g")) == "other data (birds)"


def test_weights_are_known_by_their_content() -> None:
    assert weights_hash(Scorer(0)) == weights_hash(Scorer(0)) != weights_hash(Scorer(1))
    one = torch.zeros(2)
    assert len({of_weights({"a": one}), of_weights({"b": one}), of_weights({"a": one[:1]})}) == 3


def test_choices_are_told_apart_by_order_and_text() -> None:
    assert len({of_items([1, 2]), of_items([2, 1]), of_items([1, 2], ["a", "b"])}) == 3


def test_equal_domain_classifiers_have_equal_stamps(tmp_path: Path) -> None:
    """Their files differ: each names the command that trained it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=generator)
    found = []
    for command in ("one", "two"):
        file = domain.train_domain_classifier(
            images, torch.arange(40) % 2, seed=0, fingerprint="f", command=command, epochs=1,
            batch_size=20, cache=tmp_path / command,
        )  # fmt: skip
        found.append((file.read_bytes(), domain.load_domain(file, device=torch.device("cpu"))))
    assert found[0][0] != found[1][0]
    assert found[0][1].sha256 == found[1][1].sha256
    about = Origin(
        real_images=2, real_split="train", real_indices="", generated_images=2, captions=None,
        caption_split="validation", given="nothing", training_seed=None, sample_seed=0,
        evaluation_seed=0, guidance="none", sampler=None, precision="32-true", ema=True,
        data="d", data_fingerprint="f", image_size=8, git=None,
    )  # fmt: skip
    seen = about_network(found[0][1], about, Subject())
    assert seen == {
        "scorer_trained_on": "the train split of the same data, without these captions"
    }
    other = replace(about, data="e", data_fingerprint="g")
    seen = about_network(found[0][1], other, Subject())
    assert seen == {"scorer_trained_on": "other data (not named)"}
    kin = about_network(found[0][1], about, Subject(model=found[1][1]))
    assert kin["scorer_kinship"].startswith("scored by a part of itself")


def test_data_are_one_column_or_two_by_their_content(tmp_path: Path) -> None:
    """Two folders of other images were one column; copies of a folder are one experiment."""
    for name, root, print_ in (("a", "here", "1"), ("b", "there", "1"), ("c", "elsewhere", "2")):
        data = {"name": "folder", "image_size": 8, "root": root}
        write_run(
            tmp_path / name, config={"data": data}, seed=ord(name),
            metrics=metric(FRECHET, 9.0, data_fingerprint=print_ * 16),
        )  # fmt: skip
    labels = {entry.label: len(entry.runs) for entry in compare(tmp_path).entries}
    assert labels == {"vae · data 11111111": 2, "vae · data 22222222": 1}


def test_other_data_are_called_by_their_folder(tmp_path: Path) -> None:
    for root in ("cats", "dogs"):
        data = {"name": "folder", "image_size": 8, "root": root}
        found = metric(FRECHET, 9.0, data_fingerprint=root)
        write_run(tmp_path / root, config={"data": data}, metrics=found)
    labels = [entry.label for entry in compare(tmp_path).entries]
    assert labels == ["vae · data.root=cats", "vae · data.root=dogs"]
