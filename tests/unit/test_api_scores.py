"""`genzoo.metrics.score`, `genzoo.data.open`, and the README's Python as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo.core.noise import split_seed
from tests.shell import Command
from tests.small import SMALL

README = Path(__file__).parents[2] / "README.md"


def test_a_score_is_that_of_the_command(tmp_path: Path) -> None:
    ended = Command("model=vae", *SMALL, "hydra.run.dir=run", cwd=tmp_path).wait(timeout=240)
    assert ended.status == 0, ended.stderr
    found = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    data = genzoo.data.open("openmoji", image_size=16)
    rows = torch.as_tensor(data.split("train"))
    generator = torch.Generator().manual_seed(split_seed(2020, "captions"))
    order = rows[torch.randperm(len(rows), generator=generator)].tolist()
    model = genzoo.load(tmp_path / "run", device="cpu")
    samples = model.sample([data.captions[i] for i in order[:10]])
    scores = genzoo.metrics.score(samples, against=data, real_images=24)
    assert len(scores) > 4
    for name, one in scores.items():
        assert one.value == pytest.approx(found[name]["value"], rel=1e-3, abs=1e-6), name
        assert one.better == found[name]["better"]
        assert one.stamp.items() <= found[name]["stamp"].items()


def test_files_arrays_and_tensors_score_alike(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 12, 3), dtype=np.uint8)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{k:02d}.png")
    own = torch.from_numpy(pixels[:8]).movedim(-1, 1)
    by_array = genzoo.metrics.score(pixels[:8], against=pixels[8:], subsets=5, splits=2)
    by_others = genzoo.metrics.score(
        own, against=sorted(tmp_path.glob("*.png"))[8:], subsets=5, splits=2
    )
    assert by_array == by_others
    same = genzoo.metrics.score(tmp_path, against=tmp_path, subsets=5, splits=2)
    assert same["frechet_distance/efficientnet_lite0"].value == pytest.approx(0, abs=1e-3)
    assert by_array["frechet_distance/efficientnet_lite0"].value > 1
    with pytest.raises(genzoo.GenzooError, match="1 generated images"):
        genzoo.metrics.score(pixels[:1], against=pixels)
    with pytest.raises(genzoo.UsageError, match="no setting neighbors"):
        genzoo.metrics.score(pixels, against=pixels, neighbors=3)
    with pytest.raises(genzoo.UsageError, match="no images in"):
        genzoo.metrics.score(tmp_path / "none", against=pixels)


def test_data_are_opened_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    data = genzoo.data.open("shapes", image_size=8, source={"count": 30})
    assert len(data) == 30
    assert data.images([0, 1]).shape == (2, 3, 8, 8)
    assert sum(data.splits.values()) == 30
    assert capfd.readouterr() == ("", "")
    for call, said in (
        (lambda: genzoo.data.open("cifar"), "no data 'cifar'"),
        (lambda: genzoo.data.open("shapes", size=8), "no setting size"),
        (lambda: genzoo.data.open("shapes", image_size=0), "data.image_size=0"),
        (lambda: genzoo.data.open("folder"), "needs a folder"),
    ):
        with pytest.raises(genzoo.UsageError, match=said):
            call()


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "heart.png").is_file()
