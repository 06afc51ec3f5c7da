"""CLIP from the command line: measured, scoring, guiding, and built upon by unCLIP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genzoo.models import manipulation
from tests.small import AGAIN, DATA, METRICS, TRAINING

Run = Callable[..., tuple[int, str, str]]

COMMON = (*DATA, *TRAINING, *METRICS, "budget.images=32", "metrics.real_images=16")
CLIP = ("model=clip", *COMMON, "model.image.layers=1", "model.text.layers=1")
SHAPES = ("data=shapes", "data.source.count=150")  # unCLIP embeds all images of its data
UNET = ("unet.width=8", "unet.head_channels=8")
GLIDE = (
    "model=glide", "model.inpaint=true", *COMMON, *(f"model.{key}" for key in UNET),
    "sampler.steps=2",
)  # fmt: skip
UNCLIP = (
    "model=unclip", *COMMON, *(f"model.decoder.{key}" for key in UNET), "sampler.steps=2",
    "model.prior.steps=3", "model.prior.network.layers=1",
)  # fmt: skip


def results(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((folder / "results.json").read_text())
    return found


def measured(folder: Path) -> dict[str, dict[str, object]]:
    return results(folder)["metrics"]  # type: ignore[return-value]


def stamps(folder: Path) -> list[dict[str, str]]:
    return [entry["stamp"] for entry in measured(folder).values()]  # type: ignore[misc]


def pixels(folder: Path) -> np.ndarray:
    """Of the first picture, of shape (height, width, 3)."""
    with Image.open(folder / "00000.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def done(genzoo: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """As `genzoo`, for commands that must succeed; few steps lead back from a given image."""
    monkeypatch.setattr(manipulation, "INVERSION", 3)

    def run(*arguments: str) -> tuple[int, str, str]:
        status, out, error = genzoo(*arguments)
        assert status == 0, error
        return status, out, error

    return run


def refused(genzoo: Run, word: str, *arguments: str) -> None:
    status, _, error = genzoo(*arguments)
    assert status == 2, arguments
    assert word in error
    assert len(error.splitlines()) == 1


def test_a_noise_aware_clip_guides(done: Run, genzoo: Run, tmp_path: Path) -> None:
    done(*CLIP, "model.noise_aware=true", "model.chunk=5", "hydra.run.dir=noisy")
    found = measured(tmp_path / "noisy")
    assert found["recall_at_10/text_to_image"]["stamp"]["images"] == 12  # type: ignore[index]
    assert "recall_at_1/image_to_text/t_999" in found
    with Image.open(tmp_path / "noisy" / "retrieval.png") as image:
        assert min(image.size) > 300

    guided = ("guidance=classifier", "guidance.scorer=clip", "guidance.checkpoint=noisy")
    scored = (*guided, "metrics.clip=noisy")
    done(*GLIDE, *scored, "model.likelihood_steps=2", "hydra.run.dir=guided")
    stamp = measured(tmp_path / "guided")["clip_score"]["stamp"]
    assert stamp["scorer_kinship"].startswith("scored by what guided it (")  # type: ignore[index]
    stamp = measured(tmp_path / "guided")["frechet_distance/efficientnet_lite0"]["stamp"]
    assert "scorer_kinship" not in stamp  # type: ignore[operator]
    assert stamp["guidance"].startswith("classifier 1.0 by ")  # type: ignore[index]
    sample = ("task=sample", "checkpoint=guided", "prompt=a red heart", "count=2")
    done(*sample, "guidance.scale=30", "hydra.run.dir=much")
    done(*sample, "guidance.scale=0", "hydra.run.dir=none")
    assert (pixels(tmp_path / "much/samples") != pixels(tmp_path / "none/samples")).any()

    for name, grey in (("a", 40), ("m", 0)):
        image = Image.new("L", (16, 16), grey)
        image.paste(250, (0, 0, 8, 16))
        image.save(tmp_path / f"{name}.png")
    redraw = ("task=inpaint", *sample[1:3], "image=a.png", "mask=m.png", "count=1")
    done(*redraw, "guidance.scale=30", "hydra.run.dir=redrawn")
    done(*redraw, "guidance.scale=0", "hydra.run.dir=unguided")
    redrawn = pixels(tmp_path / "redrawn/inpainted")
    assert (redrawn != pixels(tmp_path / "unguided/inpainted")).any()
    assert (redrawn[:, 8:] == 40).all()
    refused(genzoo, "noisy images of 16 px", *GLIDE, *guided, "data.image_size=32")
    refused(genzoo, "is a clip", *sample, *guided, "guidance.scorer=noisy_classifier")
    refused(genzoo, "generates no images", "task=sample", "checkpoint=noisy", "prompt=x")
    refused(genzoo, "counts the steps", *CLIP, "model.noise_aware=true", "model/process=edm")


def test_a_clip_scores_guides_by_the_image_and_carries_unclip(
    done: Run, genzoo: Run, tmp_path: Path
) -> None:
    clip, unclip, glide = ((*words, *SHAPES) for words in (CLIP, UNCLIP, GLIDE))
    done(*clip, "hydra.run.dir=clip")
    done(*unclip, "clip=clip", "metrics.clip=clip", "hydra.run.dir=unclip")
    stamp = measured(tmp_path / "unclip")["clip_score"]["stamp"]
    assert stamp["clip"] == "clip"  # type: ignore[index]
    assert stamp["long_captions"] == "cut, 0 % of them"  # type: ignore[index]
    guided = "classifier_free 3.0; prior 2.0, 3 steps, best of 2"
    assert stamp["guidance"] == guided  # type: ignore[index]
    assert stamp["scorer_kinship"].startswith("scored by a part of itself (")  # type: ignore[index]
    seen = "the train split of the same data, with these captions"
    assert stamp["scorer_trained_on"] == seen  # type: ignore[index]
    assert results(tmp_path / "unclip")["model"]["origin"] == "clip"
    by_image = ("guidance=classifier", "guidance.checkpoint=clip", "guidance.scale=5")
    sample = ("task=sample", "prompt=a red heart", "count=2")
    done(*sample, "checkpoint=unclip", *by_image, "hydra.run.dir=drawn")

    up = ("model.stage=upsample", "model.inpaint=false", "model.low_size=16", "data.image_size=32")
    done(*glide, *up, "model.likelihood_steps=2", "hydra.run.dir=up")
    given = {s["given"] for s in stamps(tmp_path / "up")}
    assert given == {"a smaller real image"}
    cascade = ("upsampler=up", "upsampler_steps=2")
    done(*sample, "checkpoint=unclip", *cascade, "hydra.run.dir=large")
    assert pixels(tmp_path / "large" / "samples").shape == (32, 32, 3)

    done("task=export", "checkpoint=unclip", "file=small.safetensors")
    assert "| began with | clip |" in (tmp_path / "small.md").read_text()
    done(*sample, "checkpoint=small.safetensors", "hydra.run.dir=exported")
    known = set(Path(os.environ["GENZOO_CACHE"]).rglob("embeddings/*"))
    done("checkpoint=unclip", "budget.images=64", *AGAIN, "hydra.run.dir=longer")
    # A training that goes on knows the images by the same CLIP.
    assert set(Path(os.environ["GENZOO_CACHE"]).rglob("embeddings/*")) == known != set()

    done(*unclip, "clip=clip", "model.stage=prior", "hydra.run.dir=prior")
    assert set(measured(tmp_path / "prior")) == {f"prior_recall_at_{k}" for k in (1, 5, 10)}
    refused(genzoo, "embeddings, not images", *sample, "checkpoint=prior")
    done(*unclip, "clip=prior", "model.stage=decoder", "hydra.run.dir=whole")
    done(*sample, "checkpoint=whole", "hydra.run.dir=from_whole")
    done(*unclip, "clip=clip", "model.stage=decoder", "hydra.run.dir=decoder")
    refused(genzoo, "without a prior", *sample, "checkpoint=decoder")
    assert {s["given"] for s in stamps(tmp_path / "decoder")} == {"the embedding of a real image"}
    assert {s["given"] for s in stamps(tmp_path / "unclip")} == {"nothing"}

    refused(genzoo, "built on a CLIP", *unclip)
    refused(genzoo, "open_clip's models guide", *unclip, "clip=open_clip/ViT-B-32/openai")
    vary = ("task=vary", "checkpoint=unclip", "image=picture.png", *by_image)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "picture.png")
    refused(genzoo, "needs prompt=", *vary)
    refused(genzoo, "holds model=unclip", *sample, "checkpoint=unclip", "model=glide")
    refused(genzoo, "is no CLIP", *unclip, "clip=clip", "metrics.clip=unclip")
