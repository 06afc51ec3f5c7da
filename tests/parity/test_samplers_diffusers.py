"""Our samplers take the steps that diffusers' schedulers take, at equal settings.

One made-up network answers both; it is told the same times and sees the same images.
"""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from genzoo.diffusion import sampler, wrappers
from genzoo.diffusion.predict import (
    Denoiser,
    Prediction,
    to_prediction,
    to_prediction_with_variance,
)
from genzoo.diffusion.schedule import Schedule

# Their code, with the newest numpy.
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

STEPS = 1000
BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "squaredcos_cap_v2": {"beta_schedule": "squaredcos_cap_v2"},
}


def network(x: Tensor, time: Tensor) -> Tensor:
    """Bends and turns its input, differently at each time."""
    time = time.view(-1, 1, 1, 1).to(x.dtype) / STEPS
    return torch.tanh(x * (1 - 0.5 * time)) + 0.1 * torch.sin(3 * x.flip(-1) + time)


def start() -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Replayed:
    """Noise as the other side's generator gives it."""

    def __init__(self, like: Tensor) -> None:
        self.like, self.generator = like, torch.Generator().manual_seed(7)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.like.shape, generator=self.generator, dtype=self.like.dtype)


def doubled(scheduler: Any, name: str) -> Any:
    """Their tables are float32; in ours' precision the two can be held against each other."""
    whole = Schedule.discrete(name, STEPS)
    scheduler.betas = torch.from_numpy(whole.betas.values)
    scheduler.alphas_cumprod = torch.from_numpy(whole.alpha.values**2)
    scheduler.alphas = 1 - scheduler.betas
    return scheduler


def kept(name: str, scheduler: Any) -> Schedule:
    """Our schedule with the times that theirs has chosen."""
    return Schedule.discrete(name, STEPS).subset([int(t) for t in scheduler.timesteps])


def denoiser(schedule: Schedule) -> Denoiser:
    def denoise(x: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x)
        return to_prediction("eps", network(x, level.time), x, level)

    return denoise


def theirs(scheduler: Any, x: Tensor, **settings: Any) -> Tensor:
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t)
        x = scheduler.step(network(seen, torch.as_tensor([t] * len(x))), t, x, **settings)[0]
    return x


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_ddim(name: str, eta: float) -> None:
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=STEPS, clip_sample=True, timestep_spacing="leading", **BETAS[name]
    )
    doubled(scheduler, name).set_timesteps(20)
    schedule, x = kept(name, scheduler), start()
    assert schedule.times.values.tolist() == list(range(0, STEPS, 50))  # what "ddim20" keeps
    noise = Replayed(x)
    expected = theirs(
        scheduler, x, eta=eta, use_clipped_model_output=True, generator=Replayed(x).generator
    )
    denoise = wrappers.static_threshold(denoiser(schedule))
    got = sampler.final(sampler.ddim(denoise, x, schedule, noise, eta=eta))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BETAS)
def test_ddpm_with_learned_variance(name: str) -> None:
    scheduler = diffusers.DDPMScheduler(
        num_train_timesteps=STEPS,
        clip_sample=True,
        variance_type="learned_range",
        timestep_spacing="leading",
        **BETAS[name],
    )
    doubled(scheduler, name).set_timesteps(20)
    schedule, x = kept(name, scheduler), start()

    def both(x: Tensor, time: Tensor) -> Tensor:
        return torch.cat([network(x, time), torch.sin(x)], dim=1)

    def denoise(x: Tensor, step: int) -> Prediction:
        out = both(x, schedule.times.as_input(step, x))
        return to_prediction_with_variance("eps", out, x, schedule, step)

    expected, generator = x, Replayed(x).generator
    for t in scheduler.timesteps:
        out = both(expected, torch.as_tensor([t] * len(x)))
        expected = scheduler.step(out, t, expected, generator=generator)[0]
    got = sampler.final(
        sampler.ancestral(wrappers.static_threshold(denoise), x, schedule, Replayed(x))
    )
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("steps", [8, 20])
def test_dpm_solver(name: str, steps: int) -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(
        num_train_timesteps=STEPS,
        algorithm_type="dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        final_sigmas_type="zero",
        timestep_spacing="linspace",
        **BETAS[name],
    )
    doubled(scheduler, name).set_timesteps(steps)
    schedule, x = kept(name, scheduler), start()
    expected = theirs(scheduler, x)
    got = sampler.final(sampler.dpm_solver(denoiser(schedule), x, schedule, Replayed(x)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_heun() -> None:
    """Theirs counts images in units of their own size, ours keeps the variance."""
    name = "linear"
    scheduler = diffusers.HeunDiscreteScheduler(
        num_train_timesteps=STEPS, timestep_spacing="linspace", **BETAS[name]
    )
    scheduler.set_timesteps(10)  # a whole-numbered stride: 0, 111, ..., 999
    times = sorted({int(t) for t in scheduler.timesteps})
    schedule, x = Schedule.discrete(name, STEPS).subset(times), start()
    expected = theirs(scheduler, x / schedule.alpha[-1])
    got = sampler.final(sampler.heun(denoiser(schedule), x, schedule, Replayed(x)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
