"""What is computed in float32 whatever is chosen, and what the choice itself is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.overrides import TorchFunctionMode

from genzoo.config.composition import compose
from genzoo.config.paths import groups
from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import Precision, exact, full, rounding, unscaled
from genzoo.core.types import Batch
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.schedule import Schedule
from genzoo.diffusion.wrappers import score_guidance
from genzoo.flows import linear
from genzoo.flows.linear import InvertibleConv, Whitening
from genzoo.models import flow
from genzoo.models.base import GenerativeModel, bits_per_dim
from genzoo.models.flow import Flow
from genzoo.run import build, devices

SHAPE = (3, 16, 16)
HALVES = (torch.bfloat16, torch.float16)
CONVOLUTIONS = (torch.conv2d, torch.nn.functional.conv2d)
PRODUCTS = (
    torch.matmul,
    Tensor.matmul,
    Tensor.__matmul__,
    Tensor.__rmatmul__,
    torch.bmm,
    torch.addmm,
    torch.nn.functional.linear,
)


class AmpereCard(TorchFunctionMode):
    """Rounds operands to 10 bits of mantissa, as a GPU with TF32 does where it is allowed to."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        allowed = (func in CONVOLUTIONS and torch.backends.cudnn.allow_tf32) or (
            func in PRODUCTS and torch.backends.cuda.matmul.allow_tf32
        )
        if allowed:
            args = tuple(rounded(value) for value in args)
        return func(*args, **(kwargs or {}))


def rounded(value: Any) -> Any:
    """A float32 tensor to 10 bits of mantissa, to nearest."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return value
    bits = value.contiguous().view(torch.int32)
    return value + ((bits + 0x1000 & ~0x1FFF).view(torch.float32) - value).detach()


@contextmanager
def card(*, tf32: bool = True) -> Iterator[None]:
    with rounding(tf32=tf32), AmpereCard():
        yield


def composed(name: str, *overrides: str) -> DictConfig:
    return compose(f"model={name}", "data.image_size=16", "trainer.gpus=0", *overrides)


def trained(name: str, batch: Batch, *overrides: str) -> GenerativeModel:
    """A model whose weights are not what they begin with."""
    torch.manual_seed(0)
    model = build.build_model(composed(name, *overrides))
    model.data_dependent_init(batch, noise=Noise.of(7, batch.index))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.eval()
    with torch.no_grad():
        model.fit_sampling_prior([batch])
    return model


# TF32.


def test_the_emulated_card_rounds_where_it_is_allowed_to() -> None:
    x = torch.full((1, 1, 1, 1), 1 + 2.0**-11 + 2.0**-12)
    with card():
        assert torch.conv2d(x, torch.ones(1, 1, 1, 1)).item() == 1 + 2.0**-10
        assert (x[0, 0] @ torch.ones(1, 1)).item() == 1 + 2.0**-10
    with card(tf32=False):
        assert torch.conv2d(x, torch.ones(1, 1, 1, 1)).item() == x.item()


@pytest.mark.parametrize("make", [InvertibleConv, Whitening])
@pytest.mark.parametrize("mended", [True, False])
def test_linear_maps_have_their_inverse_on_a_card_with_tf32(
    make: Callable[[int], InvertibleConv | Whitening],
    mended: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not mended:  # the same without the context, which the test must notice
        monkeypatch.setattr(linear, "exact", lambda device: nullcontext())
    torch.manual_seed(0)
    layer = make(12)
    x = torch.randn(4, 12, 8, 8)
    layer.data_dependent_init(x)
    with torch.no_grad(), card():
        error = (layer.inverse(layer(x)[0]) - x).abs().max()
    assert error < 1e-5 if mended else error > 1e-4


@pytest.mark.parametrize("arch", ["glow", "tarflow"])
@pytest.mark.parametrize("mended", [True, False])
def test_a_flow_on_a_card_with_tf32_is_the_flow_that_it_is_without(
    arch: str, mended: bool, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained("flow", batch, f"model/arch={arch}")
    noise = Noise.of(7, batch.index)
    assert isinstance(model, Flow)

    def found() -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            return (
                model.reconstruct(batch.image, batch.condition),
                model.log_prob(batch, noise=noise),
                model.losses(batch, noise=noise).parts["inversion_error"],
            )

    rebuilt, log_prob, error = found()
    if not mended:
        monkeypatch.setattr(linear, "exact", lambda device: nullcontext())
        monkeypatch.setattr(flow, "exact", lambda device: nullcontext())
    with card():
        there = found()
    if not mended:
        assert there[2].max() > 5 * error.max()
        assert not torch.equal(there[1], log_prob)
        return
    torch.testing.assert_close(there[0], rebuilt, rtol=0, atol=0)
    torch.testing.assert_close(there[1], log_prob, rtol=0, atol=0)
    torch.testing.assert_close(there[2], error, rtol=0, atol=0)


def test_contexts_put_back_what_was_chosen_around_them() -> None:
    cpu = torch.device("cpu")
    switches = torch.backends.cuda.matmul, torch.backends.cudnn

    def state() -> list[bool]:
        return [s.allow_tf32 for s in switches] + [torch.is_autocast_enabled("cpu")]

    before = state()
    with Precision("bf16-mixed", "cpu", tf32=True)():
        assert state() == [True, True, True]
        with exact(cpu):
            assert state() == [False, False, False]
        with pytest.raises(ZeroDivisionError), exact(cpu):
            raise ZeroDivisionError
        assert state() == [True, True, True]
        with full(torch.zeros(1)):
            assert state() == [True, True, False]
    assert state() == before
    # torch's newer switches, which torch.compile reads too, go along.
    with rounding(tf32=True):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    with rounding(tf32=False):
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"


# Autocast.


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", [n for n in groups()["model"] if n != "unclip"])
def test_losses_and_pictures_are_float32_under_autocast(
    name: str, half: torch.dtype, batch: Batch
) -> None:
    model = trained(name, batch)
    noise = Noise.of(7, batch.index)
    with torch.no_grad(), torch.autocast("cpu", half):
        for objective in model.objectives().values():
            losses = objective.losses(batch, noise=noise)
            for key, value in {"total": losses.total, **losses.parts}.items():
                assert value.dtype == torch.float32, key
                assert value.isfinite().all(), key
        if model.capabilities.sampling is not None:
            drawn = model.sample(batch.condition, SHAPE, noise=noise)
            assert drawn.dtype == torch.float32
            inner = drawn[drawn.abs() < 1]
            # Most are none of the values that autocast rounds to: nothing rounded them last.
            assert (inner.to(half).float() != inner).float().mean() > 0.5
        if model.capabilities.reconstruct:
            assert model.encode(batch.image).dtype == torch.float32


@pytest.mark.parametrize("half", HALVES)
def test_a_flow_is_the_same_in_every_precision(half: torch.dtype, batch: Batch) -> None:
    model = trained("flow", batch)
    noise = Noise.of(7, batch.index)
    with torch.no_grad():
        before = model.log_prob(batch, noise=noise)
        rebuilt = model.reconstruct(batch.image, batch.condition)
        with torch.autocast("cpu", half):
            assert torch.equal(before, model.log_prob(batch, noise=noise))
            assert torch.equal(rebuilt, model.reconstruct(batch.image, batch.condition))


@pytest.mark.parametrize("name", ["vae", "diffusion"])
def test_likelihoods_hardly_depend_on_the_precision(name: str, batch: Batch) -> None:
    process = ("model/process=discrete",) if name == "diffusion" else ()
    model = trained(name, batch, *process)
    noise = Noise.of(7, batch.index)
    with torch.no_grad():
        bits = bits_per_dim(model.log_prob(batch, noise=noise), SHAPE)
        with torch.autocast("cpu", torch.bfloat16):
            rounded_bits = bits_per_dim(model.log_prob(batch, noise=noise), SHAPE)
    torch.testing.assert_close(rounded_bits, bits, rtol=0.02, atol=0)


def test_a_saturated_generator_still_learns_under_bfloat16() -> None:
    """Bfloat16's tangent has the value 1 at 3.5, and so no slope at all."""
    assert not (1 - torch.tensor(3.5, dtype=torch.bfloat16).tanh() ** 2)
    model = build.build_model(composed("gan"))
    generator = model.generator  # type: ignore[union-attr]
    with torch.no_grad():
        generator.network.out.weight.zero_()
        generator.network.out.bias.fill_(3.5)
    with torch.autocast("cpu", torch.bfloat16):
        image = generator(
            torch.randn(2, model.latent), torch.randn(2, generator.text.position.shape[1])
        )
        image.sum().backward()
    slope = generator.network.out.bias.grad
    expected = 2 * 16 * 16 * (1 - torch.tensor(3.5).tanh() ** 2)
    torch.testing.assert_close(slope, expected.expand(3), rtol=1e-3, atol=0)


def test_the_slope_of_a_likelihood_does_not_underflow_in_float16() -> None:
    """Classifier guidance takes gradients that no scaler multiplies first."""
    weight = torch.full((1, 3 * 16 * 16), 1e-6)
    images = torch.rand(2, *SHAPE) * 2 - 1
    schedule = Schedule.discrete("linear", 1000)

    def likelihood(x: Tensor, level: object) -> Tensor:
        return 1e-3 * torch.nn.functional.linear(x.flatten(1), weight)[:, 0].float()

    def denoise(x_t: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        return Prediction(x_t, x_t, level.alpha, level.sigma)

    guided = score_guidance(denoise, likelihood=likelihood, noise_aware=True, schedule=schedule)
    with torch.autocast("cpu", torch.float16):
        slope = guided(images, 0).score
    assert slope is not None
    torch.testing.assert_close(slope, torch.full_like(slope, 1e-9), rtol=1e-2, atol=0)
    with torch.autocast("cpu", torch.bfloat16), unscaled(images):
        assert torch.is_autocast_enabled("cpu")  # bfloat16 reaches far enough


# The choice.


def test_auto_is_bfloat16_where_a_gpu_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return including_emulation  # an older card emulates it

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert Precision.choose("auto", gpu=True, tf32=True) == Precision("32-true", "cuda", False)
    assert asked == [False]
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    chosen = Precision.choose("auto", gpu=True, tf32=True)
    assert chosen == Precision("bf16-mixed", "cuda", True)
    assert str(chosen) == "bf16-mixed"
    assert str(dataclasses.replace(chosen, name="32-true")) == "32-true with TF32"
    assert str(Precision.choose("auto", gpu=False, tf32=True)) == "32-true"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("bf16-true", "bf16-mixed"),
        ("16-true", "16-mixed"),
        ("64-true", "32-true"),
        ("transformer-engine", "auto"),
        ("16", "16-mixed"),
        ("null", "auto"),
    ],
)
def test_precisions_that_cannot_be_are_refused(name: str, remedy: str) -> None:
    cfg = composed("vae", f"trainer.precision={name}")
    with pytest.raises(UsageError, match=remedy):
        devices.precision(cfg)


@pytest.mark.parametrize(("name", "stated"), [("flow", "32-true"), ("vae", "bf16-mixed")])
def test_stamps_state_what_a_model_computes_in(name: str, stated: str) -> None:
    cfg = composed(name, "trainer.precision=bf16-mixed")
    assert devices.stated_precision(cfg) == stated
    enlarged = composed(name, "trainer.precision=bf16-mixed", "upsampler=openai", "task=sample")
    assert devices.stated_precision(enlarged) == "bf16-mixed"


def test_fsdp_scales_no_gradients() -> None:
    with pytest.raises(UsageError, match="bf16-mixed"):
        devices.precision(composed("vae", "trainer.precision=16-mixed", "strategy=fsdp"))
