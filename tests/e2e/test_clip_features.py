"""Features of a CLIP in a command: the one that comes with genzoo, and one that is not there."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]

OWN = (
    "task=score", "images=other", "real=real", "metrics.extractors=[clip]", "logger=none",
    "metrics.splits=2", "metrics.subsets=5", "trainer.gpus=0", "hydra.run.dir=run",
)  # fmt: skip


@pytest.fixture(autouse=True)
def images(tmp_path: Path) -> None:
    for seed, (name, count) in enumerate((("other", 12), ("real", 14))):
        (tmp_path / name).mkdir()
        random = np.random.default_rng(seed)
        for k in range(count):
            pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{k:03d}.png")


def test_the_zoos_clip_measures_offline(genzoo: Run, tmp_path: Path) -> None:
    status, _, error = genzoo(*OWN, "metrics.weights.clip=zoo/clip_16")
    assert status == 0, error
    found = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert {"cmmd/clip", "vendi/clip", "kernel_distance/clip", "precision/clip"} <= set(found)
    entry = found["cmmd/clip"]
    assert entry["interval"][0] < entry["value"] < entry["interval"][1]
    stamp = entry["stamp"]
    assert stamp["settings"] == "unbiased, Gaussian kernel of sigma 10, times 1000"
    assert len(stamp["extractor_sha256"]) == 64
    assert (stamp["input_size"], stamp["resizing"][:13]) == (16, "middle square")


@pytest.mark.skipif(bool(importlib.util.find_spec("open_clip")), reason="open_clip is there")
def test_without_open_clip_the_published_one_is_refused_in_one_line(genzoo: Run) -> None:
    status, _, error = genzoo(*OWN)
    assert status != 0
    last = error.strip().splitlines()[-1]
    assert "open_clip/ViT-L-14-336/openai needs the package open_clip" in last
    assert "pip install" in last


def test_a_word_for_a_clip_that_is_not_there_is_refused_early(genzoo: Run) -> None:
    status, _, error = genzoo(*OWN, "metrics.weights.clip=zoo/clip_17")
    assert status != 0
    assert "clip_17" in error.strip().splitlines()[-1]
