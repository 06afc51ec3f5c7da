"""Real images in the place of samples: which they are, and what they score."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from genzoo.config.composition import compose
from genzoo.data.dataset import TextImageData
from genzoo.metrics.captions import CaptionAccuracy
from genzoo.metrics.features import NetworkExtractor
from genzoo.metrics.real import RealFeatures, real_features
from genzoo.metrics.stamp import comparable
from genzoo.metrics.suite import FeatureMetrics, too_few
from genzoo.run import build, scorers
from genzoo.tasks.measuring import Measures, metric_settings, real_indices
from genzoo.tasks.reference_images import held_out, training
from genzoo.tasks.references import closeness, references

CLIP = "zoo/clip_16"


class Patches(torch.nn.Module):
    """Coarse pixels as features, which tell images apart."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
        return pooled, pooled[:, :5] * 4


EXTRACTOR = NetworkExtractor(
    name="patches", sha256="0", input_size=16, resizing="none", dim=48, classes=5,
    prepare=lambda x: x.float() / 127.5 - 1, network=Patches(), device=torch.device("cpu"),
)  # fmt: skip


def config(*typed: str) -> DictConfig:
    return compose(
        "model=vae", "data=shapes", "data.source.count=200", "data.image_size=16",
        "data.validation=0.2", "metrics.images=30", "metrics.real_images=100",
        "metrics.splits=3", "trainer.gpus=0", f"metrics.clip={CLIP}", *typed,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data() -> TextImageData:
    return build.build_data(config())


def measured(
    cfg: DictConfig, data: TextImageData, samples: torch.Tensor | None = None
) -> Measures:
    rows = real_indices(cfg, data)
    settings = metric_settings(cfg)
    real: RealFeatures = real_features(
        [data.images(rows)], EXTRACTOR, cache=None, fingerprint=data.fingerprint,
        split=cfg.metrics.real_split, indices=rows,
    )  # fmt: skip
    features = FeatureMetrics(
        real=real, extractor=EXTRACTOR, settings=settings, without=too_few(len(real), settings)
    )
    if samples is not None:
        features.update(EXTRACTOR(samples), torch.arange(len(samples)))
    truth = data.ground_truth
    assert truth is not None
    return Measures([features], CaptionAccuracy(truth.score_caption, truth.caption_parts), None)


def values(row: dict[str, Any]) -> dict[str, float]:
    return {name: entry["value"] for name, entry in row["metrics"].items()}


def test_all_rows_with_their_floor_and_ceiling(data: TextImageData) -> None:
    cfg = config()
    rows = references(cfg, data, measured(cfg, data), scorers.build_image_text_model(CLIP, cfg))
    assert [(row["label"], row["images"], row["split"]) for row in rows.values()] == [
        ("real, held out", 30, "validation"),
        ("training images again", 30, "train"),
        ("real images, own captions", 30, "train"),
        ("real images, shuffled captions", 30, "train"),
    ]
    real, again, own, shuffled = map(values, rows.values())
    distance = "frechet_distance/patches"
    assert 0 < again[distance] < real[distance]
    assert again["precision/patches"] == 1.0
    assert real["inception_score/patches"] > 1
    assert own["caption_accuracy/all"] > 0.7
    assert own["caption_accuracy/colour"] == 1.0
    assert shuffled["caption_accuracy/all"] == own["caption_accuracy/shuffled"]
    assert "caption_accuracy/shuffled" not in shuffled
    assert own["clip_score"] > shuffled["clip_score"]
    stamp = rows["real_captions"]["metrics"]["clip_score"]["stamp"]
    assert stamp["scorer_trained_on"] == "other data (openmoji)"


def test_a_row_is_what_the_same_images_score_as_samples(data: TextImageData) -> None:
    cfg = config()
    rows = references(cfg, data, measured(cfg, data), None)
    measures = measured(cfg, data, data.images(held_out(cfg, data).indices))
    found = {name: value.value for name, value in measures.features[0].compute().items()}
    assert values(rows["real_held_out"]) == pytest.approx(found)


def test_they_do_not_depend_on_the_model(data: TextImageData) -> None:
    """Two runs of other seeds and guidance have the same rows, so that each is shown once."""
    one, other = config(), config("seed=7", "model=flow")
    a, b = (references(cfg, data, measured(cfg, data), None) for cfg in (one, other))
    assert a == b
    c = references(config("metrics.seed=1"), data, measured(one, data), None)
    for name, entry in a["real_held_out"]["metrics"].items():
        assert comparable(entry["stamp"], c["real_held_out"]["metrics"][name]["stamp"])


def test_held_out_images_are_neither_trained_on_nor_compared_with(data: TextImageData) -> None:
    train, real = set(data.split("train").tolist()), set(real_indices(config(), data).tolist())
    found = held_out(config(), data)
    assert not set(found.indices.tolist()) & (train | real)
    assert set(training(config(), data).indices.tolist()) <= real, "the memoriser's"
    few = config("metrics.real_split=validation", "metrics.real_images=15")
    kept = held_out(few, data).indices.tolist()
    assert not set(kept) & (train | set(real_indices(few, data).tolist()))
    assert set(training(few, data).indices.tolist()) <= train
    everything = config("metrics.real_split=validation", "metrics.real_images=null")
    assert not len(held_out(everything, data).indices)


def test_too_few_held_out_images_are_said_and_not_an_error(
    data: TextImageData, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = config("metrics.real_split=validation", "metrics.real_images=null")
    rows = references(cfg, data, measured(cfg, data), None)
    assert "real_held_out" not in rows
    assert "training_again" in rows
    assert "real, held out (0 images)" in capsys.readouterr().out
    assert closeness(cfg, measured(cfg, data).features, {}, rows) == {}


def test_fewer_held_out_images_than_samples_are_compared_with_as_many(data: TextImageData) -> None:
    """A distance of fewer images is larger, whoever made them."""
    cfg = config("metrics.images=160")
    samples = data.images(data.split("train")[:160])
    measures = measured(cfg, data, samples)
    entries = {n: v._asdict() for n, v in measures.features[0].compute().items()}
    rows = references(cfg, data, measures, None)
    count = rows["real_held_out"]["images"]
    assert count == data.splits["validation"] < 160
    near = closeness(cfg, measures.features, entries, rows)
    assert set(near) >= {"frechet_distance/patches", "kernel_distance/patches"}
    distance = near["frechet_distance/patches"]
    few = measured(cfg, data, samples[:count]).features[0].compute()["frechet_distance/patches"]
    assert distance["images"] == count
    assert distance["value"] == pytest.approx(few.value)
    assert distance["value"] > 1.5 * entries["frechet_distance/patches"]["value"]
