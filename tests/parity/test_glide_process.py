"""Schedules, single steps and whole loops of sampling give what the reference gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from genzoo.diffusion import sampler
from genzoo.diffusion.predict import Prediction, noised, read, step_back
from genzoo.diffusion.schedule import Schedule, at, spaced
from genzoo.errors import UsageError
from tests.parity.golden_cases import Case, cases

pytestmark = pytest.mark.parity


def schedule_of(described: Mapping[str, Any]) -> Schedule:
    choice = described["timestep_respacing"]
    return Schedule.discrete(
        described["noise_schedule"],
        described["diffusion_steps"],
        None if choice == "" else choice,
    )


@pytest.mark.parametrize("case", cases("diffusion_tables"))
def test_tables(case: Case) -> None:
    for call in case.about["calls"]:
        s = schedule_of(call["diffusion"])
        signal, after = s.alpha**2, torch.cat([s.alpha[1:] ** 2, torch.zeros(1)])
        tables = {
            "betas": s.betas,
            "alphas_cumprod": signal,
            "alphas_cumprod_prev": s.alpha_before**2,
            "alphas_cumprod_next": after,
            "sqrt_alphas_cumprod": s.alpha,
            "sqrt_one_minus_alphas_cumprod": s.sigma,
            "log_one_minus_alphas_cumprod": (s.sigma**2).log(),
            "sqrt_recip_alphas_cumprod": 1 / s.alpha,
            "sqrt_recipm1_alphas_cumprod": s.sigma / s.alpha,
            "posterior_variance": s.posterior_variance,
            "posterior_log_variance_clipped": s.posterior_log_variance,
            "posterior_mean_coef1": s.posterior_x0,
            "posterior_mean_coef2": s.posterior_xt,
        }
        for name in case.about["table_names"]:
            case.check(f"out.{call['id']}.{name}", tables[name])
        case.check(f"out.{call['id']}.timestep_map", s.times)


@pytest.mark.parametrize("case", cases("respacing"))
def test_chosen_steps(case: Case) -> None:
    for entry in case.about["entries"]:
        ask = partial(spaced, entry["num_timesteps"], entry["section_counts"])
        if entry.get("raises"):
            with pytest.raises(UsageError):
                ask()
        else:
            assert ask() == entry["timesteps"], entry["section_counts"]


def changed_x0(case: Case, described: Mapping[str, Any] | None) -> Callable[[Tensor], Tensor]:
    """The case's `denoised_fn`."""
    if described is None:
        return lambda x0: x0
    if described["type"] == "affine":
        return lambda x0: x0 * described["scale"] + described["shift"]
    image, mask = (case.tensors[described[f"inpaint_{name}"]] for name in ("image", "mask"))
    return lambda x0: x0 * (1 - mask) + image * mask


def finished(
    prediction: Prediction,
    x: Tensor,
    schedule: Schedule,
    t: Tensor,
    *,
    change: Callable[[Tensor], Tensor],
    clip: bool,
) -> Prediction:
    """The image changed, then confined; the noise follows."""
    x0 = change(prediction.x0)
    return prediction.with_x0(x0.clamp(-1, 1) if clip else x0, x, schedule, t)


def one_step(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    schedule, told = schedule_of(call["diffusion"]), call["literals"]
    given = case.inputs(call)
    t = given["t"]
    x = given["x"]
    prediction = finished(
        read("eps", given["model_output"], x, schedule, t),
        x,
        schedule,
        t,
        change=changed_x0(case, told.get("denoised_fn")),
        clip=told.get("clip_denoised", True),
    )
    if "gradient" in given:
        original = at(schedule.times, t, x)
        prediction = replace(prediction, score=given["gradient"] * (original / 1000) + 0.1 * x)
    if call["op"] == "p_mean_variance":
        step = step_back(prediction, x, schedule, t)
        return {
            "mean": step.mean,
            "variance": step.log_variance.exp(),
            "log_variance": step.log_variance,
            "pred_xstart": prediction.x0,
            "model_timesteps": schedule.times[t],
        }
    if call["op"] == "p_sample":
        drawn = sampler.ancestral_step(prediction, x, schedule, t, given["noise"])
    else:
        prediction = prediction.scored(x, schedule, t)
        if call["op"] == "ddim_sample":
            eta, fresh = told["eta"], given["noise"]
            drawn = sampler.ddim_step(prediction, x, schedule, t, fresh, eta=eta)
        else:
            assert call["op"] == "ddim_reverse_sample"
            drawn = sampler.ddim_step_up(prediction, x, schedule, t)
    return {"sample": drawn, "pred_xstart": prediction.x0}


def closed_form(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    """The operations that need no network."""
    s, given = schedule_of(call["diffusion"]), case.inputs(call)
    t = given["t"]
    x_0 = given.get("x_start")
    x_t = given.get("x_t")
    if call["op"] == "q_mean_variance":
        assert x_0 is not None
        variance = at(s.sigma**2, t, x_0).expand_as(x_0)
        return {"mean": at(s.alpha, t, x_0) * x_0, "variance": variance,
                "log_variance": at((s.sigma**2).log(), t, x_0).expand_as(x_0)}  # fmt: skip
    if call["op"] == "q_sample":
        assert x_0 is not None
        return {"x_t": noised(x_0, given["noise"], s, t)}
    assert x_t is not None
    if call["op"] == "q_posterior_mean_variance":
        assert x_0 is not None
        step = step_back(Prediction(x_0, x_0), x_t, s, t)
        variance = at(s.posterior_variance, t, x_t).expand_as(x_t)
        return {"mean": step.mean, "variance": variance, "log_variance": step.log_variance}
    blank = Prediction(x_t, x_t)
    if call["op"] == "predict_xstart_from_eps":
        return {"x_start": blank.with_eps(given["eps"], x_t, s, t).x0}
    assert call["op"] == "predict_eps_from_xstart"
    assert x_0 is not None
    return {"eps": blank.with_x0(x_0, x_t, s, t).eps}


@pytest.mark.parametrize("case", cases("diffusion_ops"))
def test_single_steps(case: Case) -> None:
    for call in case.about["calls"]:
        own = one_step if "model_output" in call["inputs"] else closed_form
        got = own(case, call)
        for name, key in call["outputs"].items():
            case.check(key, got[name].contiguous())


class Recorded:
    """The case's noise, one tensor a step."""

    def __init__(self, noise: Tensor) -> None:
        self.left = iter(noise)

    def normal(self, *shape: int) -> Tensor:
        return next(self.left)
