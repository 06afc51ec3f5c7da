"""Families of somebody's own: one Python file and one YAML file, both outside of genzoo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from genzoo.config.paths import groups, use_own
from tests.small import AGAIN, DATA, METRICS, MODEL, TRAINING

Run = Callable[..., tuple[int, str, str]]

ALONE = '''
"""A family that stands alone: every pixel has a mean and a spread of its own."""

import torch
from torch import nn

from genzoo.core.types import Capabilities, Losses
from genzoo.models.base import GenerativeModel, identity


class Pixels(GenerativeModel):
    capabilities = Capabilities(sampling="independent pixels")

    def __init__(self, *, image_size, spread):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(3, image_size, image_size))
        self.spread = spread

    def losses(self, batch, *, noise):
        error = (batch.image - self.mean).square().flatten(1).mean(1)
        return Losses(error, {"error": error})

    def sample(self, cond, shape, *, noise, guidance=identity):
        return (self.mean + self.spread * noise.normal(*shape)).clamp(-1, 1)
'''

ALONE_YAML = """
# @package _global_
model:
  name: pixels
  _target_: mypkg.alone.Pixels
  image_size: ${data.image_size}
  spread: 0.5
optimizer:
  lr: 1.0e-2
"""

BUILT = '''
"""A family that is built on a VAE of genzoo's, whose colours it corrects.

What the VAE makes of the images is computed once.
"""

import torch
from torch import nn

from genzoo.core.types import Capabilities, Losses
from genzoo.models.base import GenerativeModel, Objective, identity
from genzoo.models.frozen import FrozenEncoder, HasFrozenEncoder
from genzoo.models.parent import HasParent, Parent, below
from genzoo.models.vae import VAE


class Corrected(GenerativeModel, HasParent, HasFrozenEncoder):
    capabilities = Capabilities(
        sampling="a VAE's, corrected", conditions=frozenset({"text"}), reconstruct=True
    )
    parent = Parent(
        key="base",
        noun="a VAE",
        families=("vae", "corrected"),
        remedy="name a model=vae or a model=corrected",
    )

    @classmethod
    def inherited_settings(cls, settings):
        vae = settings["vae"] if settings["name"] == "corrected" else settings
        return {"vae": {k: v for k, v in vae.items() if k not in ("name", "_target_")}}

    @classmethod
    def inherited_weights(cls, settings, weights):
        grown = settings["name"] == "corrected"
        return {"vae": below(weights, "vae") if grown else dict(weights)}

    def __init__(self, *, vae):
        super().__init__()
        self.vae = VAE(**vae).requires_grad_(False)
        self.gain = nn.Parameter(torch.ones(3, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))
        self.known = None

    @property
    def frozen_encoder(self):
        return FrozenEncoder(self.vae, "codes", self.vae.encode)

    def objectives(self):
        return {"model": Objective(self.losses, (self.gain, self.bias))}

    def losses(self, batch, *, noise):
        rebuilt = self.corrected(self.known[batch.index].float(), batch.condition)
        error = (batch.image - rebuilt).square().flatten(1).mean(1)
        return Losses(error, {"error": error})

    def reconstruct(self, images, cond):
        return self.corrected(self.vae.encode(images), cond)

    def corrected(self, codes, cond):
        with torch.no_grad():
            rebuilt = self.vae.decode(codes, cond)
        return self.gain * rebuilt + self.bias

    def sample(self, cond, shape, *, noise, guidance=identity):
        drawn = self.vae.sample(cond, shape, noise=noise)
        return (self.gain * drawn + self.bias).clamp(-1, 1)
'''

BUILT_YAML = """
# @package _global_
base: null
model:
  name: corrected
  _target_: mypkg.built.Corrected
  vae: {}
optimizer:
  lr: 1.0e-2
"""

DRAW = ("task=sample", "count=1", 'prompt="a"', "trainer.gpus=0")
SMALL = (*DATA, *TRAINING, *METRICS)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package and a folder of configurations; gives the switch that names the folder."""
    files = {
        "code/mypkg/__init__.py": "",
        "code/mypkg/alone.py": ALONE,
        "code/mypkg/built.py": BUILT,
        "own/model/pixels.yaml": ALONE_YAML,
        "code/mypkg/conf/__init__.py": "",  # by which Hydra knows it
        "code/mypkg/conf/model/pixels.yaml": ALONE_YAML,
        "own/model/corrected.yaml": BUILT_YAML,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.setattr("genzoo.config.paths._own", [])
    return f"--config-dir={tmp_path / 'own'}"


@pytest.fixture
def done(genzoo: Run) -> Callable[..., str]:
    """As `genzoo`, for commands that must succeed; gives what they said."""

    def run(*arguments: str) -> str:
        status, out, error = genzoo(*arguments)
        assert status == 0, error
        return out

    return run


def refused(genzoo: Run, *arguments: str, words: tuple[str, ...]) -> None:
    status, _, error = genzoo(*arguments)
    assert status == 2, error
    for word in words:
        assert word in error
    assert len(error.strip().splitlines()) == 1


def picture(folder: Path) -> bytes:
    with Image.open(folder / "samples" / "00000.png") as image:
        return image.tobytes()


def test_one_that_stands_alone(genzoo: Run, done: Run, own: str, tmp_path: Path) -> None:
    done(own, "model=pixels", *SMALL, "hydra.run.dir=run")
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert any(name.startswith("frechet") or "fid" in name.lower() for name in metrics), metrics
    longer = ("checkpoint=run", "hydra.run.dir=run", "budget.images=192")
    out = done(own, "model=pixels", *AGAIN, *longer)
    assert "after 96 images" in out
    done(own, "task=export", "checkpoint=run", "file=mine.safetensors", "trainer.gpus=0")
    draw = (
        "task=sample",
        "checkpoint=mine.safetensors",
        "count=1",
        'prompt="a"',
        "trainer.gpus=0",
    )
    # A class that stands in a file is a stranger's, until the person names it as well.
    refused(genzoo, *draw, words=("mypkg.alone.Pixels", "model._target_=", "--config-dir="))
    done(*draw, "model._target_=mypkg.alone.Pixels", "hydra.run.dir=named")
    done(own, *draw, "hydra.run.dir=by_folder")
    assert picture(tmp_path / "named") == picture(tmp_path / "by_folder")
    done("hydra.searchpath=[pkg://mypkg.conf]", *draw, "hydra.run.dir=by_package")
    elsewhere = f"hydra.searchpath=[file://{tmp_path / 'own'}]"
    done(elsewhere, *draw, "hydra.run.dir=by_path")
    done(elsewhere, "model=pixels", *SMALL, "hydra.run.dir=second", "seed=1")
    out = done("task=compare", "runs=run,second", "hydra.run.dir=table", "logger=none")
    assert out.count("pixels") >= 2


def test_one_that_is_built_on_another(
    genzoo: Run, done: Run, own: str, own_cache: Path, tmp_path: Path
) -> None:
    refused(genzoo, own, "model=corrected", *SMALL, words=("a VAE, and none is named", "base=<"))
    done("model=vae", *MODEL, *SMALL, "hydra.run.dir=vae", "model.latent=4")
    done(own, "model=pixels", *SMALL, "hydra.run.dir=pixels")
    wrong = (own, "model=corrected", *SMALL, "base=pixels")
    refused(genzoo, *wrong, words=("holds model=pixels", "built on a VAE", "name a model=vae"))
    train = (own, "model=corrected", *SMALL, "base=vae")
    before = set(own_cache.rglob("embeddings/*.safetensors"))  # of other tests
    done(*train, "hydra.run.dir=run", "text.vocab_size=300")
    trained = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    parent = torch.load(tmp_path / "vae/checkpoints/last.ckpt", weights_only=True)
    assert trained["genzoo"]["tokenizer"] == parent["genzoo"]["tokenizer"]  # and no other one
    assert trained["genzoo"]["config"]["model"]["vae"]["latent"] == 4
    assert trained["genzoo"]["origin"] == "vae"
    for name, value in trained["state_dict"].items():  # taken over, and left as it is
        if name.startswith("model.vae."):
            inner = name.removeprefix("model.vae.")
            assert torch.equal(value, parent["state_dict"][f"ema.model.{inner}"])
    assert trained["state_dict"]["model.gain"].ne(1).any()
    (file,) = set(own_cache.rglob("embeddings/*.safetensors")) - before
    assert load_file(file)["vectors"].shape[1] == 4
    out = done(own, *AGAIN, "checkpoint=run", "hydra.run.dir=run", "budget.images=192")
    assert "after 96 images" in out
    done(*train[:-1], "base=run", "hydra.run.dir=grandchild")  # on one of its own kind
    done(own, "task=export", "checkpoint=run", "file=mine.safetensors", "trainer.gpus=0")
    assert any(name.startswith("vae.") for name in load_file(tmp_path / "mine.safetensors"))
    draw = (
        "task=sample",
        "checkpoint=mine.safetensors",
        "count=1",
        'prompt="a"',
        "trainer.gpus=0",
    )
    refused(genzoo, *draw, words=("mypkg.built.Corrected", "model._target_="))
    done(*draw, "model._target_=mypkg.built.Corrected", "hydra.run.dir=drawn")
    done(own, "task=evaluate", *AGAIN, "checkpoint=mine.safetensors", "hydra.run.dir=measured")
    refused(
        genzoo, *train, "hydra.run.dir=vae", "overwrite=true", words=("what the command needs",)
    )


def test_the_command_line_knows_them(genzoo: Run, done: Run, own: str, tmp_path: Path) -> None:
    assert "corrected" not in groups()["model"]
    out = done(own, "--help")
    assert {"corrected", "pixels", "vae"} <= set(out.split())
    assert "pixels" in done("hydra.searchpath=[pkg://mypkg.conf]", "--help").split()
    assert "pixels" not in done("--help").split()  # of a command that does not name the folder
    refused(genzoo, own, "model=pixel", words=("did you mean model=pixels?", "corrected"))
    refused(genzoo, own, "model=pixels", "model.spred=1", words=("did you mean model.spread?",))
    refused(genzoo, own, "bse=vae", "model=corrected", words=("did you mean base?",))
    done(own, "-m", "model=vae,pixels", *SMALL, "hydra.sweep.dir=s")
    table = (tmp_path / "s" / "comparison.md").read_text()
    assert "pixels" in table
    assert "vae" in table
    use_own([])


def test_a_folder_of_the_search_path_counts_in_messages(
    genzoo: Run, done: Run, own: str, tmp_path: Path
) -> None:
    odd = tmp_path / "own (1)"
    (tmp_path / "own").rename(odd)
    path = f"hydra.searchpath=['file://{odd}']"
    done(path, "model=pixels", *SMALL, "hydra.run.dir=run")
    vary = ("task=vary", "checkpoint=run", "image=a.png", "trainer.gpus=0")
    refused(genzoo, path, *vary, words=("model=pixels cannot",))
    refused(genzoo, path, "model=pixels", "+model.x=1", *SMALL, words=("cannot be made of",))
    refused(genzoo, path, "model=pixels", "model.spred=1", words=("did you mean model.spread?",))
    use_own([])
