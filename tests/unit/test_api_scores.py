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
from genzoo.metrics.stamp import comparable
from tests.shell import Command
from tests.small import SMALL

# What stamps of a run say of its samples, which images from anywhere do not know.
OF_A_RUN = {
    "caption_split", "captions", "sample_seed", "training_seed", "guidance", "sampler",
    "precision", "ema", "given", "git",
}  # fmt: skip
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 12, 12, 3), dtype=np.uint8)
SMALLEST = ("frechet_distance", "kernel_distance", "vendi")  # take two images
FEW = {"subsets": 5, "splits": 2}
ROOT = Path(__file__).parents[2]


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
        theirs = found[name]["stamp"]
        assert set(one.stamp) - set(theirs) <= {"generated_sha256"}
        assert set(theirs) - set(one.stamp) <= OF_A_RUN
        assert {key: theirs[key] for key in one.stamp if key in theirs} == {
            key: value for key, value in one.stamp.items() if key in theirs
        }


def test_files_arrays_and_tensors_score_alike(tmp_path: Path) -> None:
    pixels = PIXELS
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


def stamps(**changed: object) -> list[dict[str, object]]:
    given = {"images": PIXELS[:8], "against": PIXELS[8:], **FEW, **changed}
    found = genzoo.metrics.score(given.pop("images"), **given)  # type: ignore[arg-type]
    return [dict(one.stamp) for one in found.values()]


def test_equal_stamps_mean_the_same_measurement() -> None:
    data = genzoo.data.open("shapes", image_size=12, source={"count": 40})
    again = genzoo.data.open("shapes", image_size=12, source={"count": 40, "seed": 9})
    assert stamps() == stamps(images=torch.from_numpy(PIXELS[:8].copy()).movedim(-1, 1))
    measured = [
        stamps(),
        stamps(images=PIXELS[:8][::-1]),
        stamps(images=PIXELS[1:9]),
        stamps(against=PIXELS[7:15]),
        stamps(against=data),
        stamps(against=again),
        stamps(against=data, split="validation", neighbours=1, density_neighbours=1),
        stamps(against=data, real_images=20),
        stamps(against=data, real_images=20, seed=1),
    ]
    for k, one in enumerate(measured):
        assert all(one != other for other in measured[:k]), k
    assert measured[7][0]["real_split"] == "train"
    assert measured[7][0]["data"] == "shapes"
    assert comparable(measured[0][0], measured[2][0]) == []
    assert comparable(measured[0][0], measured[3][0]) == ["real_sha256"]


def test_what_few_images_cannot_be_measured_by_is_left_out() -> None:
    with pytest.warns(UserWarning, match="inception_score left out: 8 images"):
        found = genzoo.metrics.score(PIXELS[:8], against=PIXELS[8:])
    assert "inception_score" not in found
    assert "frechet_distance/efficientnet_lite0" in found
    with pytest.warns(UserWarning, match="precision, recall, density, coverage, inception_score"):
        found = genzoo.metrics.score(PIXELS[:3], against=PIXELS[8:])
    assert set(found) == {f"{kind}/efficientnet_lite0" for kind in SMALLEST}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"splits": "a"}, "splits='a' is no whole number"),
        ({"splits": 0}, "^splits=0 is too small"),
        ({"subset_size": 1}, "^subset_size=1 is too small"),
        ({"real_images": 4}, "real_images= chooses images of a data set"),
        ({"split": "train"}, "split= chooses images of a data set"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"images": PIXELS[:8] / 255}, "to_uint8"),
    ],
)
def test_what_score_refuses(asked: dict[str, object], said: str) -> None:
    with pytest.raises(genzoo.UsageError, match=said):
        stamps(**asked)


@pytest.mark.parametrize("count", [-1, 0, "all", 2.5])
def test_real_images_are_a_whole_number(count: object) -> None:
    data = genzoo.data.open("shapes", image_size=12, source={"count": 40})
    with pytest.raises(genzoo.UsageError, match=r"^real_images="):
        stamps(against=data, real_images=count)


def test_data_are_opened_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    data = genzoo.data.open("shapes", image_size=np.int64(8), source={"count": np.int32(30)})
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


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_a_pages_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert page != "README.md" or (tmp_path / "heart.png").is_file()
