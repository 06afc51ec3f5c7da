"""The studies: that each runs by its command, and that each rule can fall either way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from experiments.composition import rule as composition
from experiments.flow_inverse import rule as inverse
from experiments.gan_balance import rule as balance
from experiments.gan_balance.study import STUDY as GAN_BALANCE
from experiments.guidance import rule as guidance
from experiments.guidance.figures import front
from experiments.guidance.study import STUDY as GUIDANCE
from experiments.inpainting import rule as inpainting
from experiments.lab.caption_scores import CaptionScores
from experiments.lab.clip import SHARED, ClipEvaluator
from experiments.lab.command import SCALES
from experiments.latent_space import rule as space
from experiments.steps import rule as steps
from experiments.unclip import rule as unclip
from genzoo.metrics.clip_score import CLIPScore
from tests.shell import Command

ROOT = Path(__file__).parents[2]
STUDIES = (
    "gan_balance", "latent_space", "flow_inverse", "steps", "composition", "inpainting",
    "guidance", "unclip",
)  # fmt: skip
ANSWERS = ("supported", "not supported", "undecided")


AS_IT_IS = "steps"  # the study that starts an interpreter for each run, as a person's does


def study(name: str, folder: Path) -> str:
    given = (
        "--scale", "smoke", "--output", str(folder / "runs"), "--results", str(folder / "results"),
    )  # fmt: skip
    if name == AS_IT_IS:
        result = Command(*given, module=f"experiments.{name}", cwd=ROOT).wait()
    else:
        result = Command(name, *given, module="tests.study", cwd=ROOT).wait()
    assert result.status == 0, result.err
    assert result.err == ""
    return result.out


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_by_its_command(name: str, tmp_path: Path) -> None:
    study(name, tmp_path)
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["verdict"]["answer"] in ANSWERS
    assert results["runs"]
    for run in results["runs"]:
        assert run["command"].startswith("python -m genzoo model=")
        assert run["images_seen"] >= run["budget_images"]
        assert all(entry["stamp"] for entry in run["metrics"].values())
    for key in ("processor", "cores"):
        assert results["machine"][key]
    assert len(results["data_fingerprints"]) == 1
    page = (tmp_path / "results" / "table.md").read_text()
    assert f"**{results['verdict']['answer'].capitalize()}.**" in page
    assert "| --- |" in page
    assert str(ROOT) not in page
    for picture in ["picture.png", *(p.name for p in (tmp_path / "results").glob("*.png"))]:
        assert f"({picture})" in page
        with Image.open(tmp_path / "results" / picture) as image:
            assert min(image.size) > 200
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("results.json")}
    assert len(before) == len(results["runs"])
    if name == "gan_balance":  # what has finished is not repeated
        study(name, tmp_path)
        assert before == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.parametrize("name", STUDIES)
def test_every_scale_is_there_and_says_its_claim(name: str) -> None:
    content = yaml.safe_load((ROOT / "experiments" / name / "study.yaml").read_text())
    assert set(content["scales"]) == set(SCALES)
    readme = " ".join((ROOT / "experiments" / name / "README.md").read_text().split())
    assert " ".join(content["claim"].split()) in readme


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_the_generator_has_as_many_steps_in_every_game(scale: str) -> None:
    settings = GAN_BALANCE.settings(scale)
    runs = GAN_BALANCE.plan(settings)
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        values = dict(override.split("=", 1) for override in run.overrides)
        assert len(values) == len(run.overrides)  # no key twice
        steps = float(values["optimizer.discriminator.steps"])
        assert run.stages[-1] / max(steps, 1) == settings["stages"][-1]


EVEN = balance.Balanced(first=[200.0, 210.0], last=[100.0, 102.0])
WORSE, SAME, BETTER = 130.0, 101.0, 80.0


def games(weak: float | None, strong: float | None, even: balance.Balanced = EVEN) -> str:
    pair = balance.side(weak, even), balance.side(strong, even)
    sides = {"game": dict.fromkeys(("capacity", "learning rate", "steps"), pair)}
    return balance.verdict({"game": even}, sides).answer


def test_the_rule_of_gan_balance_falls_either_way() -> None:
    assert games(WORSE, WORSE) == "supported"
    assert games(None, WORSE) == "supported"  # a game that broke down did worse
    assert games(SAME, SAME) == "not supported"
    assert games(WORSE, BETTER) == "not supported"
    assert games(WORSE, SAME) == "undecided"
    stalled = balance.Balanced(first=[101.0, 103.0], last=EVEN.last)
    assert games(WORSE, WORSE, stalled) == "undecided"
    assert balance.game(balance.Balanced([200.0], [None]), {}) == "undecided"


def test_where_the_games_differ_gan_balance_is_undecided_and_says_so() -> None:
    sides = {
        "one": {"capacity": ("worse", "worse")},
        "other": {"capacity": ("same", "same")},
    }
    verdict = balance.verdict({"one": EVEN, "other": EVEN}, sides)  # type: ignore[arg-type]
    assert verdict.answer == "undecided"
    assert "depends on the game" in verdict.because


def test_noise_between_seeds_widens_the_margin_of_gan_balance() -> None:
    noisy = balance.Balanced(first=[200.0, 200.0], last=[80.0, 122.0])
    assert balance.side(WORSE, EVEN) == "worse"
    assert balance.side(WORSE, noisy) == "same"


def seed(**changes: float) -> space.Seed:
    values = {
        "ae_random": 200.0, "ae_rebuilt": 50.0, "ae_middle": 90.0, "vae_random": 100.0,
        "vae_rebuilt": 70.0, "vae_middle": 75.0, "vae_crossfade": 95.0, "vae_between": 0.9,
        "noise": 300.0,
    }  # fmt: skip
    return space.Seed(**{**values, **changes})


def test_the_rule_of_latent_space_falls_either_way() -> None:
    assert space.verdict([seed(), seed()]).answer == "supported"
    assert space.verdict([seed(ae_random=90.0)]).answer == "not supported"  # no holes
    assert space.verdict([seed(vae_middle=120.0)]).answer == "not supported"  # no blends
    assert space.verdict([seed(vae_between=0.2)]).answer == "not supported"
    assert space.verdict([seed(vae_random=198.0)]).answer == "undecided"  # too close to call
    assert space.verdict([seed(), seed(ae_random=90.0)]).answer == "undecided"  # seeds disagree


def stage(images: int, **changes: float | None) -> inverse.Stage:
    values = {"largest": 1e-6, "identical": 1.0, "distance": 300.0 - images}
    return inverse.Stage(images, **{**values, **changes})  # type: ignore[arg-type]


def test_the_rule_of_flow_inverse_falls_either_way() -> None:
    others = {"vae": 0.1}
    assert inverse.verdict([stage(0), stage(100)], others).answer == "supported"
    changed = stage(100, identical=0.999, largest=0.01)
    assert inverse.verdict([stage(0), changed], others).answer == "not supported"
    assert inverse.verdict([stage(0), stage(100, largest=1e-3)], others).answer == "undecided"
    assert inverse.verdict([stage(0), stage(100, distance=300.0)], others).answer == "undecided"
    assert inverse.verdict([stage(0), stage(100, distance=None)], others).answer == "undecided"


def shares(right: float, chance: float = 0.3) -> CaptionScores:
    return CaptionScores({"shape": right, "all": 0.0}, {"shape": chance})


def test_the_rule_of_composition_falls_either_way() -> None:
    def answer(unseen: CaptionScores, seen: CaptionScores | None = None) -> str:
        return composition.verdict(seen or shares(0.9), unseen).answer

    assert answer(shares(0.7)) == "supported"
    assert answer(shares(0.5)) == "not supported"
    assert answer(shares(0.7, chance=0.65)) == "not supported"  # it does not read
    assert answer(shares(0.9), shares(0.6)) == "undecided"


def test_the_rule_of_steps_falls_either_way() -> None:
    def points(*distances: float) -> list[steps.Point]:
        return [steps.Point(2**k, d, 0.1 * 2**k) for k, d in enumerate(distances)]

    better, level, worse = points(200, 120, 100), points(100, 101, 99), points(100, 90, 120)
    assert steps.verdict({"a": better, "b": better}).answer == "supported"
    assert steps.verdict({"a": better, "b": level}).answer == "undecided"
    assert steps.verdict({"a": level, "b": worse}).answer == "not supported"
    assert steps.improves(points(200, 100, 104))
    assert not steps.improves(points(200, 100, 150))  # too many are worse again
    free = [steps.Point(1, 200, 0.1), steps.Point(2, 100, 0.1)]
    assert steps.verdict({"a": free}).answer == "not supported"


def test_the_rule_of_inpainting_falls_either_way() -> None:
    def answer(right: float = 0.8, chance: float = 0.3, **changes: float) -> str:
        found = {"changed": 0, "seam": 1.0, "seam_before": 0.5, **changes}
        return inpainting.verdict(shares(right, chance), inpainting.Edges(**found)).answer  # type: ignore[arg-type]

    assert answer() == "supported"
    assert answer(changed=1) == "not supported"
    assert answer(right=0.5) == "not supported"
    assert answer(chance=0.75) == "not supported"
    assert answer(seam=9.0) == "undecided"  # right, but it can be seen where it was redrawn


def test_the_rule_of_unclip_falls_either_way() -> None:
    def point(distance: float, recall: float, spread: float) -> unclip.Point:
        return unclip.Point([distance, distance + 1], [recall, recall + 0.01], [spread, spread])

    glide = point(50, 0.3, 0.5)
    better, level, worse = point(52, 0.4, 0.6), point(51, 0.3, 0.6), point(80, 0.4, 0.6)
    poorer = point(50, 0.2, 0.4)

    def answer(*guided: unclip.Point) -> str:
        free = unclip.Pair(1.0, glide, poorer)  # without guidance nothing is decided
        pairs = [unclip.Pair(2.0 + k, glide, own) for k, own in enumerate(guided)]
        return unclip.verdict([free, *pairs]).answer

    assert answer(better, better) == "supported"
    assert answer(better, level) == "undecided"  # no higher recall for every seed
    assert answer(worse, worse) == "not supported"
    assert answer(worse, poorer) == "not supported"
    assert answer(worse, better) == "undecided"
    assert unclip.Pair(2.0, glide, worse).fidelity == "lost"
    assert unclip.Pair(2.0, glide, point(58, 0.4, 0.6)).fidelity == "open"


KNOWING = guidance.Learned(classifier=0.9, clip=0.6)


def curve(
    lift: float, *, near: float = 1.0, good: float = 1.0, recalls: tuple[float, ...] = (0.6, 0.2)
) -> list[guidance.Point]:
    """Without guidance, and one scale, at which precision is higher by `lift`."""
    first, last = recalls
    return [
        guidance.Point(0, 0.5, first, 100.0, 2.0),
        guidance.Point(4, 0.5 + lift, last, 100.0 * near, 2.0 * good),
    ]


def guided(
    free: list[list[guidance.Point]],
    clip: list[list[guidance.Point]],
    head: list[list[guidance.Point]] | None = None,
    learned: guidance.Learned = KNOWING,
) -> str:
    """The answer to curves by seed."""
    seeds = [
        {guidance.FREE: one, guidance.CLIP: two, guidance.HEAD: three}
        for one, two, three in zip(free, clip, head or free, strict=True)
    ]
    return guidance.verdict(seeds, learned).answer


def test_the_rule_of_guidance_falls_either_way() -> None:
    high, middle, low = curve(0.3), curve(0.2), curve(0.1)
    assert guided([high, high], [low, low]) == "supported"
    assert guided([high, high], [high, high]) == "supported"  # it matches
    assert guided([curve(0.29)], [high]) == "supported"  # within the margin
    assert guided([low, low], [high, high]) == "not supported"
    assert guided([middle, middle], [low, low], [high, high]) == "undecided"  # the class head won
    assert guided([low, high], [middle, middle]) == "undecided"  # seeds disagree
    assert guided([curve(0.3, near=1.5)], [low]) == "undecided"  # more precise, further off
    assert guided([curve(0.1, near=1.5)], [low]) == "not supported"  # further off, nothing won
    assert guided([curve(0.1, good=0.7)], [low]) == "not supported"
    assert guided([curve(0.1, near=0.5, good=1.5)], [low]) == "supported"


def test_guidance_is_undecided_where_there_is_nothing_to_compare() -> None:
    high, low = curve(0.3), curve(0.1)
    weak = curve(0.1, recalls=(0.6, 0.58))
    assert guided([high], [weak]) == "undecided"  # too few recalls in common
    assert guided([curve(0.0)], [curve(0.0)]) == "undecided"  # nothing was traded
    assert guided([high], [low], learned=guidance.Learned(0.3, 0.6)) == "undecided"
    assert guided([high], [low], learned=guidance.Learned(0.9, 0.4)) == "undecided"


def test_curves_are_compared_at_the_same_recall() -> None:
    points = [
        guidance.Point(scale, precision, recall, 100.0, 2.0)
        for scale, precision, recall in ((0, 0.4, 0.5), (1, 0.5, 0.7), (2, 0.9, 0.3))
    ]
    passed = guidance.at(points, 0.6, lambda point: point.precision)
    assert passed == pytest.approx([0.45, 0.6])  # on the way up and on the way down
    assert guidance.at(points, 0.7, lambda point: point.precision) == [0.5]
    assert guidance.at(points, 0.8, lambda point: point.precision) == []
    shared = guidance.common(points, curve(0.1, recalls=(0.6, 0.1)))
    assert len(shared) == guidance.PLACES
    assert 0.3 < min(shared) < max(shared) < 0.6
    # The same straight trade-off, gone along further: neither leads.
    short, far = curve(0.2, recalls=(0.6, 0.4)), curve(0.4, recalls=(0.6, 0.2))
    found = guidance.lead([{guidance.FREE: short, guidance.CLIP: far}], guidance.CLIP)
    assert found is not None
    assert found.precision == pytest.approx([0.0])


def test_the_front_has_what_nothing_beats() -> None:
    places = [(0.2, 0.9), (0.5, 0.5), (0.4, 0.4), (0.5, 0.3)]
    assert front(places, right=1, up=1) == [(0.2, 0.9), (0.5, 0.5)]
    assert front(places, right=-1, up=1) == [(0.2, 0.9)]


def test_r_precision_is_the_share_of_captions_found_again() -> None:
    directions = {"red": [1.0, 0.0], "green": [0.0, 1.0]}

    class Colours:
        about: ClassVar[dict[str, str]] = {"clip": "colours"}

        def encode_text(self, captions: Sequence[str]) -> Tensor:
            return torch.tensor([directions[caption] for caption in captions])

        def encode_image(self, images: Tensor) -> Tensor:
            return (images[:, :2].mean((2, 3)) + 1) / 2

    def similarity(images: Tensor, captions: Sequence[str]) -> Tensor:
        return torch.ones(len(images))

    score = CLIPScore(similarity, lambda captions: torch.zeros(len(captions)).bool())
    pictures = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    pictures[:3, 0] = 255  # three red ones, and a green one
    pictures[3, 1] = 255
    judge = ClipEvaluator(score, Colours())  # type: ignore[arg-type]
    about = dict.fromkeys(SHARED)
    found = judge.entries(pictures, ["red", "red", "green", "green"], about=about)
    assert found["r_precision"]["value"] == 0.75
    assert found["clip_score"]["value"] == 100
    assert found["r_precision"]["stamp"]["clip"] == "colours"


@pytest.mark.parametrize("scale", SCALES)
def test_every_way_of_guidance_begins_without_it_and_the_judge_is_another(scale: str) -> None:
    settings = GUIDANCE.settings(scale)
    for mode, scales in settings["modes"].items():
        assert scales == sorted(scales)
        assert scales[0] == (1 if mode == guidance.FREE else 0)
    runs = {
        run.name: dict(o.split("=", 1) for o in run.overrides) for run in GUIDANCE.plan(settings)
    }
    assert len({values["model/process"] for values in runs.values()}) == 1
    assert len({values["data.image_size"] for values in runs.values()}) == 1
    assert runs["clip"]["model.noise_aware"] == "true"
    assert runs["judge"]["model.noise_aware"] == "false"
    assert runs["clip"]["seed"] != runs["judge"]["seed"]
