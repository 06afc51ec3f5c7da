"""A noise-aware classifier from the command line, and diffusion models that it guides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.small import DATA, METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]

SHAPES = ("data=shapes", "data.source.count=200", *DATA)
UNET = ("model.unet.width=8", "model.unet.head_channels=8")
COMMON = (*UNET, *TRAINING, *METRICS, "budget.images=32")
CLASSIFIER = ("model=noisy_classifier", *SHAPES, *COMMON, "trainer.monitor_images=32")
GUIDED = ("guidance=classifier", "guidance.checkpoint=judge")


@pytest.fixture
def judge(genzoo: Run) -> Run:
    """Runs a classifier of shapes in the folder `judge`."""
    status, _, error = genzoo(*CLASSIFIER, "hydra.run.dir=judge")
    assert status == 0, error
    return genzoo


def test_a_classifier_is_measured_and_guides(judge: Run, tmp_path: Path) -> None:
    results = json.loads((tmp_path / "judge" / "results.json").read_text())
    shares = ("0", "0.25", "0.5", "0.75", "1")
    assert set(results["metrics"]) == {f"accuracy/noise_{share}" for share in shares}
    assert results["sampling"]["seconds_per_image"] is None
    assert not (tmp_path / "judge" / "gallery").exists()

    diffusion = ("model=diffusion", *SHAPES, *COMMON, "sampler.steps=2", "model.text=null")
    diffusion += ("model.likelihood_steps=2",)
    status, _, error = judge(*diffusion, *GUIDED, "hydra.run.dir=guided")
    assert status == 0, error
    entry = json.loads((tmp_path / "guided" / "results.json").read_text())["metrics"]
    stamp = entry["frechet_distance/efficientnet_lite0"]["stamp"]
    assert stamp["guidance"].startswith("classifier 1.0 by ")

    sample = ("task=sample", "checkpoint=guided", "count=2", "guidance.scale=2")
    status, _, error = judge(*sample, "label=3", "hydra.run.dir=drawn")
    assert status == 0, error
    with Image.open(tmp_path / "drawn" / "samples" / "00000.png") as image:
        assert image.text["guidance"].startswith("classifier 2 by ")
        assert image.text["label"] == "3"
    # What has no classes, or names none, is said before or instead of drawing.
    for wrong, word in (
        ((*sample, "prompt=x"), "label="),
        ((*sample, "label=24"), "0 to 23"),
        ((*sample, "label=3", "guidance.checkpoint=guided"), "scores no images"),
        (("task=sample", "checkpoint=judge", "prompt=x"), "generates no images"),
        ((*diffusion, "data.image_size=32", *GUIDED), "16 px"),
        ((*diffusion, "guidance=classifier"), "needs a classifier or another scorer"),
        ((*sample, "label=3", "guidance=classifier"), "needs a classifier or another scorer"),
    ):
        status, _, error = judge(*wrong)
        assert status == 2, wrong
        assert word in error
        assert len(error.splitlines()) == 1

    status, _, error = judge("task=compare", "runs=judge,guided", "hydra.run.dir=table")
    assert status == 0, error
    assert "noisy_classifier" in (tmp_path / "table" / "comparison.md").read_text()


def test_data_without_classes_is_refused_before_training(genzoo: Run) -> None:
    wrong = ("model=noisy_classifier", "data=openmoji", *DATA, *COMMON)
    status, _, error = genzoo(*wrong)
    assert status == 2
    assert "no classes" in error
    status, _, error = genzoo(*CLASSIFIER, "model.labels=3")
    assert status == 2
    assert "model.labels=3" in error
