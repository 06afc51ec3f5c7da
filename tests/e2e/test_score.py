"""task=score: images of any program, measured and compared beside genzoo's own runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo as package
from genzoo.metrics.extractors import build_extractor
from genzoo.metrics.stamp import comparable
from genzoo.report.runs import load_run
from tests.fake_runs import FRECHET
from tests.shell import Result
from tests.small import METRICS, SMALL

Genzoo = Callable[..., tuple[int, str, str]]
Shell = Callable[..., Result]
SCORE = ("task=score", "logger=none", "trainer.gpus=0", "metrics.batch=4")
STATED = ("given=nothing", "trainer.precision=32-true")
CLIP = "clip_score"


def write_images(folder: Path, count: int, *, size: int = 16, seed: int = 0) -> np.ndarray:
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{k:03d}.png")
    return pixels


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text())


def test_images_stand_beside_models_on_one_page(tmp_path: Path, shell: Shell) -> None:
    ended = shell("model=vae", *SMALL, "metrics.keep_samples=true", "hydra.run.dir=runs/vae")
    assert ended.status == 0, ended
    check_kept_samples(tmp_path, shell)
    write_images(tmp_path / "other", 10)
    own = (*SCORE, "images=other", "data.image_size=16", *METRICS)
    for name, stated in (("stated", STATED), ("silent", ())):
        ended = shell(*own, *stated, f"name={name}", f"hydra.run.dir=runs/{name}")
        assert ended.status == 0, ended
        assert ("nobody says what they were generated from (given=)" in ended.out) != bool(stated)
    first, second = (results(tmp_path / "runs" / name)["metrics"] for name in ("stated", "silent"))
    assert {name: entry["value"] for name, entry in first.items()} == {
        name: entry["value"] for name, entry in second.items()
    }
    compared = shell("task=compare", "runs=runs/vae,runs/stated", "hydra.run.dir=a", "logger=none")
    assert compared.status == 0, compared
    table = json.loads((tmp_path / "a" / "comparison.json").read_text())
    assert [entry["label"] for entry in table["entries"]] == ["vae", "stated"]
    (metric,) = (metric for metric in table["metrics"] if metric["name"] == FRECHET)
    assert metric["ranked"], metric
    features = [metric for metric in table["metrics"] if "/" in metric["name"]]
    assert len(features) > 5
    assert not [metric for metric in features if metric["apart"] or metric["differing"]]
    assert table["entries"][1]["cost"]["images_seen"] is None
    page = (tmp_path / "a" / "comparison.html").read_text()
    assert "Images of other programs: stated." in page
    assert "vae, trained on openmoji at 16 px for 96 images" in page
    assert page.count('alt="stated: image ') == 10
    compared = shell("task=compare", "runs=runs", "hydra.run.dir=b", "logger=none")
    assert compared.status == 0, compared
    table = json.loads((tmp_path / "b" / "comparison.json").read_text())
    (metric,) = (metric for metric in table["metrics"] if metric["name"] == FRECHET)
    assert metric["ranked"], "the others still are"
    assert metric["apart"] == {"silent": "given not known"}


def check_kept_samples(folder: Path, shell: Shell) -> None:
    """The samples that a run kept give its numbers again, with stamps that may be ranked."""
    ended = shell(*SCORE, "images=runs/vae", "data.image_size=16", *METRICS, "hydra.run.dir=kept")
    assert ended.status == 0, ended
    first, again = (results(folder / name) for name in ("runs/vae", "kept"))
    shared = first["metrics"].keys() & again["metrics"].keys()
    assert {name for name in first["metrics"] if "/" in name} == shared
    for name in shared:
        assert again["metrics"][name]["value"] == first["metrics"][name]["value"], name
        stamps = [found["metrics"][name]["stamp"] for found in (first, again)]
        assert comparable(*stamps) == [], name
        assert stamps[0]["training_seed"] == stamps[1]["training_seed"] == 0
    assert again["model"]["name"] == "vae, kept samples"
    assert len(load_run(folder / "kept").given[0].caption) > 1
    for arguments, words in (
        (("images=runs/vae", "data.image_size=32"), "captions of openmoji at 16 px"),
        (("images=runs/vae", "given=nothing"), "given= is known"),
        (("images=kept",), "has kept no samples"),
    ):
        ended = shell(*SCORE, *METRICS, *arguments, "hydra.run.dir=no")
        assert ended.status == 2, ended
        assert words in ended.err


def test_a_folder_an_archive_and_an_array_give_the_python_number(
    tmp_path: Path, genzoo: Genzoo
) -> None:
    pixels = write_images(tmp_path / "other", 12)
    real = write_images(tmp_path / "real", 14, seed=1)
    np.savez(tmp_path / "other.npz", pixels)
    few = ("metrics.subsets=5", "metrics.splits=2")
    own = (*SCORE, "real=real", *few)
    for k, place in enumerate(("other", "other.npz")):
        status, _, error = genzoo(*own, f"images={place}", f"hydra.run.dir=run{k}")
        assert status == 0, error
    one, two = (results(tmp_path / f"run{k}")["metrics"] for k in range(2))
    assert one == two
    by_python = package.metrics.score(pixels, against=real, subsets=5, splits=2)
    assert {name: score.value for name, score in by_python.items()} == pytest.approx(
        {name: entry["value"] for name, entry in one.items()}, rel=1e-5
    )
    stamp = one[FRECHET]["stamp"]
    assert (stamp["real_images"], stamp["generated_images"], stamp["image_size"]) == (14, 12, 16)
    assert (stamp["data"], stamp["real_split"], stamp["given"]) == ("real", "given", "not known")


def test_statistics_alone_give_the_distance_alone(tmp_path: Path, genzoo: Genzoo) -> None:
    write_images(tmp_path / "other", 12)
    real = write_images(tmp_path / "real", 14, seed=1)
    extractor = build_extractor("efficientnet_lite0")
    features = extractor(torch.from_numpy(real).permute(0, 3, 1, 2)).pooled.numpy()
    np.savez(tmp_path / "known.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    own = (*SCORE, "images=other", "metrics.splits=2")
    status, out, error = genzoo(*own, "real=known.npz", "hydra.run.dir=a")
    assert status == 0, error
    assert "not measured: kernel_distance, precision, recall, density, coverage" in out
    assert genzoo(*own, "real=real", "hydra.run.dir=b")[0] == 0
    a, b = results(tmp_path / "a"), results(tmp_path / "b")
    assert sorted(a["metrics"]) == [FRECHET, "inception_score/efficientnet_lite0"]
    assert a["metrics"][FRECHET]["value"] == pytest.approx(
        b["metrics"][FRECHET]["value"], rel=1e-4
    )
    assert a["metrics"][FRECHET]["stamp"]["real_images"] == "not known"
    assert "no images" in a["not_measured"]["coverage"]
    np.savez(tmp_path / "wide.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    status, _, error = genzoo(*own, "real=wide.npz", "hydra.run.dir=c")
    assert status == 2
    assert "statistics of 2048 features, and efficientnet_lite0 has 1280" in error


def test_captions_are_checked_and_scored(tmp_path: Path, genzoo: Genzoo) -> None:
    data = package.data.open("shapes", image_size=32, validation=0.4, source={"count": 60})
    rows = data.split("validation")[:3].tolist() + data.split("train")[:2].tolist()
    (tmp_path / "other").mkdir()
    for k, image in enumerate(data.images(rows)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "other" / f"{k}.png")
    captions = [data.captions[i] for i in rows]
    (tmp_path / "captions.txt").write_text("\n".join(captions))
    lines = [
        json.dumps({"file_name": f"{k}.png", "text": text}) for k, text in enumerate(captions)
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(reversed(lines)))
    own = (
        *SCORE, "images=other", "data=shapes", "data.image_size=32", "data.source.count=60",
        "data.validation=0.4",
        "metrics.clip=zoo/clip_16", "metrics.extractors=[]",
    )  # fmt: skip
    for k, file in enumerate(("captions.txt", "captions.jsonl")):
        status, _, error = genzoo(*own, f"captions={file}", f"hydra.run.dir=run{k}")
        assert status == 0, error
    one, two = (results(tmp_path / f"run{k}")["metrics"] for k in range(2))
    assert one == two
    assert one["caption_accuracy/all"]["value"] == 1
    assert one["caption_accuracy/shuffled"]["value"] < 1
    assert 0 < one[CLIP]["value"] < 100
    assert one[CLIP]["stamp"]["caption_split"] == "not of shapes"
    assert [image.caption for image in load_run(tmp_path / "run0").given] == captions
    status, out, _ = genzoo(*own, "hydra.run.dir=run2")
    assert status == 2  # nothing is left that could be measured
    own = (*own, "metrics.clip=null", "metrics.extractors=[efficientnet_lite0]")
    status, out, error = genzoo(*own, "hydra.run.dir=run3")
    assert status == 0, error
    assert "not measured: caption_accuracy (captions= is not given)" in out
    assert "not measured: inception_score (5 images)" in out
    copies = results(tmp_path / "run3")["metrics"]["memorised/efficientnet_lite0"]
    assert copies["value"] > 0.2, "two of five are training images"
    assert copies["stamp"]["calibration_images"] == data.splits["validation"]


def test_sizes_are_stamped_and_changed_only_where_asked(tmp_path: Path, genzoo: Genzoo) -> None:
    write_images(tmp_path / "real", 8, seed=1)
    write_images(tmp_path / "other", 6, size=20)
    (tmp_path / "other" / "notes.txt").write_text("x")
    (tmp_path / "other" / "000.png").write_bytes(b"broken")
    own = (*SCORE, "images=other", "real=real", "metrics.splits=1", "metrics.neighbours=2")
    status, _, error = genzoo(*own, "hydra.run.dir=a")
    assert status == 1
    assert "1 of the 6 images in other cannot be used, the first 000.png: cannot" in error
    own = (*own, "max_skipped=0.2")
    status, out, error = genzoo(*own, "hydra.run.dir=a")
    assert status == 0, error
    assert "other: 6 images, and 1 file that is no image" in out
    assert genzoo(*own, "resize=16", "hydra.run.dir=b")[0] == 0
    a, b = results(tmp_path / "a"), results(tmp_path / "b")
    assert a["images"]["named"].keys() == {"000.png"}
    assert a["metrics"][FRECHET]["stamp"]["image_size"] == 20
    assert a["metrics"][FRECHET]["stamp"]["images_resized"] is None
    assert b["metrics"][FRECHET]["stamp"]["image_size"] == 16
    assert "antialiased" in b["metrics"][FRECHET]["stamp"]["images_resized"]


FAULTS = {
    "images is missing": (),
    "nowhere is not there": ("images=nowhere",),
    "there are no images in": ("images=empty",),
    "has 1 image": ("images=single", "real=real"),
    "has 2 captions, and there are 3 images": ("images=three", "captions=two.txt"),
    "two.jsonl has no caption for 2 of the 3 images": ("images=three", "captions=two.jsonl"),
    "another order": ("images=order", "captions=two.txt"),
    "learns from the labels": ("images=three", "real=real", "metrics.extractors=[domain]"),
    "did you mean images?": ("imagess=three",),
    "resize=0 is too small": ("images=three", "resize=0"),
    "is not symmetric": ("images=three", "real=odd.npz"),
    "does not fit": ("images=three", "real=unequal.npz"),
    "not finite": ("images=three", "real=nan.npz"),
    "there is no key resiz": ("images=three", "+resiz=16"),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    for name, count in (("single", 1), ("three", 3), ("real", 8), ("order", 2), ("empty", 0)):
        write_images(folder / name, count)
    (folder / "order" / "000.png").rename(folder / "order" / "10.png")
    (folder / "order" / "001.png").rename(folder / "order" / "9.png")
    (folder / "two.txt").write_text("a\nb\n")
    (folder / "two.jsonl").write_text('{"file_name": "000.png", "text": "a"}\n')
    odd = np.eye(1280)
    odd[0, 1] = 5
    np.savez(folder / "odd.npz", mu=np.zeros(1280), sigma=odd)
    np.savez(folder / "unequal.npz", mu=np.zeros(1281), sigma=np.eye(1280))
    np.savez(folder / "nan.npz", mu=np.full(1280, np.nan), sigma=np.eye(1280))
    return folder


@pytest.mark.parametrize("words", FAULTS)
def test_a_fault_is_one_line(
    words: str, given: Path, genzoo: Genzoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(given)
    status, _, error = genzoo(*SCORE, *FAULTS[words], f"hydra.run.dir={tmp_path}/run")
    assert status == 2, error
    (line,) = error.splitlines()
    assert words in line
