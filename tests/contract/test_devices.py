"""Every family on a CUDA device that is not there: no tensor is left behind, no host waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from genzoo.adversarial.losses import LOSSES
from genzoo.config.composition import compose
from genzoo.config.paths import groups
from genzoo.contrastive.image_text import CLIPScorer
from genzoo.core.noise import Noise
from genzoo.core.types import Batch, Condition
from genzoo.diffusion.guidance import Classifier, ClassifierFree
from genzoo.diffusion.sampling import SAMPLERS, Sampling
from genzoo.lit.ema import EMA
from genzoo.lit.module import RunningMeans, named
from genzoo.models.adversarial import AdversarialModel
from genzoo.models.base import Endpoint, GenerativeModel, identity
from genzoo.models.clip import CLIP, CLIPWithTokenizer
from genzoo.models.glide import Glide
from genzoo.models.noisy_classifier import NoisyClassifier
from genzoo.run.build import build_model
from genzoo.text.bpe import BPETokenizer
from tests.devices import HostWaits, batch_there, fake_cuda, noise_there, on_fake_cuda

# `torch.autocast("cuda")` says that there is no CUDA.
pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")

SHAPE = (3, 16, 16)
PROCESSES = ("discrete", "direct", "rectified_flow", "edm")
PENALTIES = ("model.gradient_penalty=10.0", "model.augmentation.mode=adaptive")
UNET = ("model.unet.multiples=[1]", "model.unet.attention=[1]")
FEW = {
    "autoencoder": (),
    "vae": (),
    "gan": (),
    "flow": ("model.text.layers=1",),
    "diffusion": ("model.likelihood_steps=2", *UNET),
    "glide": ("model.likelihood_steps=2", *UNET),
    "noisy_classifier": UNET,
    "clip": ("model.image.layers=1", "model.text.layers=1"),
    "unclip": (
        "model.prior.steps=2", "model.prior.network.layers=1", "model.clip.image.layers=1",
        "model.clip.text.layers=1", "model.decoder.unet.multiples=[1]",
    ),
}  # fmt: skip
ARCHES = {
    "glow": ("model/arch=glow", "model.arch.steps=1"),
    "tarflow": ("model/arch=tarflow", "model.arch.patch=8", "model.arch.layers=[1,1]"),
}
VARIANTS: dict[str, tuple[str, ...]] = {
    **{f"diffusion {process}": (f"model/process={process}",) for process in PROCESSES},
    "diffusion learned variance v": ("model/process=discrete", "model.process.prediction=v"),
    "diffusion classes": ("model.labels=4", "model.text=null"),
    "glide discrete": (
        "model.process.schedule=squaredcos_cap_v2", "model.process.prediction=eps",
        "model.process.learned_variance=true",
    ),
    "glide upsample": ("model.stage=upsample", "model.low_size=8"),
    "glide inpaint": ("model.inpaint=true",),
    "glide inpaint upsample": ("model.inpaint=true", "model.stage=upsample", "model.low_size=8"),
    "glide recompute": ("+model.unet.recompute=true",),
    "unclip prior": ("model.stage=prior",),
    "unclip decoder": ("model.stage=decoder",),
    "unclip decoder before": ("model.stage=decoder", "model.before=[prior]"),
    "clip noise aware": ("model.noise_aware=true",),
    "clip in chunks": ("model.chunk=2",),
    "noisy_classifier edm": ("model/process=edm",),
    **{
        f"flow {arch} {kind}": (*settings, f"model/dequantisation={kind}")
        for arch, settings in ARCHES.items()
        for kind in ("uniform", "variational")
    },
    "flow denoised": (*ARCHES["tarflow"], "model.noise_std=0.1"),
    **{f"gan {loss}": (f"model.loss={loss}", *PENALTIES) for loss in LOSSES},
    "gan truncated": ("model.truncation=1.0", "model.augmentation.mode=fixed"),
    "vae free bits": ("model.free_bits=0.5",),
}  # fmt: skip
CASES = {**dict.fromkeys(groups()["model"], ()), **VARIANTS}


# These learn otherwise and draw as others do.
LEARNING = {
    "clip in chunks", "glide recompute", "vae free bits", "flow tarflow variational",
    *(f"gan {loss}" for loss in LOSSES),
}  # fmt: skip
DRAWING = [case for case in CASES if case not in LEARNING]


def built(case: str) -> Any:
    """A model as the configuration describes it, with a sampler of few steps."""
    name = case.split()[0]
    model = build_model(compose(f"model={name}", "data.image_size=16", *FEW[name], *CASES[case]))
    if model.capabilities.samplers:
        model.sampler = Sampling("ddim", steps=2)
    return model


@dataclass(frozen=True)
class There:
    """A model with its batch on the fake device.

    Attributes:
        model: of the case.
        average: that follows it.
        batch: of captioned images.
    """

    model: Any
    average: EMA[Any]
    batch: Batch

    def noise(self, *names: int) -> Noise:
        return noise_there(self.batch, *names)

    def condition(self) -> Condition:
        """What samples are asked for, with what only some are told."""
        model, cond = self.model, self.batch.condition
        if "low_res" in model.capabilities.conditions:
            cond = model.with_low_res(cond, self.batch.image)
        if "embedding" in model.capabilities.conditions:
            cond = model.with_embedding(cond, self.batch.image)
        return cond


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest) -> tuple[FakeTensorMode, There]:
    """Each case once for all tests below."""
    model = built(request.param)
    average = EMA(model, halflife_images=1e5, ramp=0.05)
    with fake_cuda() as mode:
        return mode, There(on_fake_cuda(model), on_fake_cuda(average), batch_there())


@pytest.fixture
def there(made: tuple[FakeTensorMode, There]) -> Iterator[There]:
    mode, there = made
    with fake_cuda(mode):
        yield there


def of(there: There, images: Tensor) -> None:
    assert images.device.type == "cuda"
    assert images.dtype == torch.float32
    assert images.shape == (len(there.batch), *SHAPE)


def test_training(there: There) -> None:
    """Losses, their sums for the curves, the moving average, and what a game adapts."""
    model, meter = there.model, RunningMeans()
    objectives = model.objectives()
    for name, objective in objectives.items():
        losses = objective.losses(there.batch, noise=there.noise())
        assert losses.total.dtype == torch.float32
        values = named(losses, name, of=len(objectives))
        assert all(value.device.type == "cuda" for value in values.values())
        meter.add({name: value.mean() for name, value in values.items()})
        if isinstance(model, AdversarialModel):
            parts = {name: value.detach().mean() for name, value in losses.parts.items()}
            if "overfitting" in parts:
                model.adapt(parts, images=len(there.batch))
    there.average.update(model, images_seen=64, step_images=6)
    with pytest.raises(HostWaits):  # a curve's point is where numbers are read
        meter.read()


@torch.no_grad()
@pytest.mark.parametrize("made", DRAWING, indirect=True)
def test_validation_and_drawing(there: There) -> None:
    model, batch, able = there.model.eval(), there.batch, there.model.capabilities
    cond = there.condition()
    for objective in model.objectives().values():
        assert objective.losses(batch, noise=there.noise()).total.device.type == "cuda"
    if able.sampling is not None:
        of(there, model.sample(cond, SHAPE, noise=there.noise()))
    if able.likelihood is not None:
        assert model.log_prob(batch, noise=there.noise()).shape == (len(batch),)
    if able.latent:
        of(there, model.decode(model.sample_latent(cond, noise=there.noise()), cond))
    if able.reconstruct:
        of(there, model.reconstruct(batch.image, cond))
    for value in model.scoring_metrics([(batch, there.noise())]).values():
        assert value.device.type == "cuda"


@torch.no_grad()
@pytest.mark.parametrize("made", DRAWING, indirect=True)
def test_versions_ways_and_edits(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genzoo.models.manipulation.INVERSION", 2)
    model, batch, able = there.model.eval(), there.batch, there.model.capabilities
    images, cond, noise = batch.image, batch.condition, there.noise()
    if able.variations:
        of(there, model.variations(images, cond, strength=0.5, noise=noise))
    for kind in able.interpolate:
        ends = Endpoint(cond, noise, images if kind == "images" else None)
        assert model.interpolate(ends, ends, SHAPE, 2).device.type == "cuda"
    if able.text_diff:
        edits = model.text_diff(images, cond, cond, 2, strength=1.0, noise=noise)
        assert edits.device.type == "cuda"
    if isinstance(model, Glide) and model.inpainting:
        known = images[:, :1].clamp(0, 1)
        of(there, model.inpaint(there.condition(), images, known, noise=noise))


def test_known_embeddings_are_looked_up_where_the_batch_is() -> None:
    model = built("unclip")
    with fake_cuda():
        on_fake_cuda(model)
        model.known = torch.empty(20, model.clip.features, dtype=torch.half, device="cuda")
        batch = batch_there()
        assert model.losses(batch, noise=noise_there(batch)).total.device.type == "cuda"


@torch.no_grad()
def test_before_training_and_before_saving() -> None:
    """Here numbers may be read; tensors still have to be where the model is."""
    for case in ("autoencoder", "flow glow uniform", "flow tarflow variational"):
        model = built(case)
        with fake_cuda(reads=True):
            batch = batch_there()
            on_fake_cuda(model).data_dependent_init(batch, noise=noise_there(batch))
            model.fit_sampling_prior([batch])


SAMPLINGS = (
    *(Sampling(name, steps=3 if name == "dpm_solver" else 2) for name in SAMPLERS),
    Sampling("ddim", steps=2, eta=0.5),
    Sampling("ddim", steps=2, threshold="dynamic"),
    Sampling("dpm_solver", steps=2, threshold="none", temperature=0.9),
)
GUIDANCE = {
    "none": identity,
    "classifier_free": ClassifierFree(3.0),
    "interval": ClassifierFree(3.0, interval=(0.2, 0.8)),
    "scale one": ClassifierFree(1.0),
}
SCORERS = {
    "classifier": "noisy_classifier",
    "clip": "clip",
    "clip noise aware": "clip noise aware",
}


def by(scorer: GenerativeModel) -> Classifier:
    """Guidance by a model."""
    return Classifier(CLIPScorer(image_text(scorer)) if isinstance(scorer, CLIP) else scorer, 2.0)  # type: ignore[arg-type]


def image_text(model: CLIP) -> CLIPWithTokenizer:
    tokenizer = BPETokenizer.train(["a red heart"], vocab_size=300, context=32)
    made = CLIPWithTokenizer(model, tokenizer, "tiny", "0" * 64)
    vars(made)["scale"] = 10.0  # read once, when a draw begins
    return made


@torch.no_grad()
@pytest.mark.parametrize("guidance", [*GUIDANCE, *SCORERS])
def test_samplers_and_guidance(guidance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Classes are looked at once a draw, on the way in.
    monkeypatch.setattr(NoisyClassifier, "check_labels", lambda self, label: None)
    scorer = built(SCORERS[guidance]).eval() if guidance in SCORERS else None
    model = built("glide inpaint").eval()
    with fake_cuda():
        on_fake_cuda(model)
        asked = GUIDANCE[guidance] if scorer is None else by(on_fake_cuda(scorer))
        batch = batch_there()
        # Methods differ in what a score does to a step, and else in nothing that guides.
        all_ways = guidance in ("none", "classifier")
        for sampling in SAMPLINGS if all_ways else SAMPLINGS[:2]:
            model.sampler = sampling
            images = model.sample(batch.condition, SHAPE, noise=noise_there(batch), guidance=asked)
            assert images.device.type == "cuda", sampling
            assert images.dtype == torch.float32, sampling
