"""Schedules, single steps and whole loops of sampling give what the reference gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.diffusion import sampler, wrappers
from genzoo.diffusion.network import ImageConditioning, TextConditioning, TextUNet
from genzoo.diffusion.predict import (
    Denoiser,
    Prediction,
    add_noise,
    posterior,
    to_prediction,
    to_prediction_with_variance,
)
from genzoo.diffusion.schedule import NoiseLevel, Schedule, beta_schedule, respace
from genzoo.diffusion.table import Table
from genzoo.models.clip import unit
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
        alpha, sigma = s.alpha.values, s.sigma.values
        tables = {
            "betas": s.betas.values,
            "alphas_cumprod": alpha**2,
            "alphas_cumprod_prev": s.alpha_before.values**2,
            "alphas_cumprod_next": np.append(alpha[1:] ** 2, 0),
            "sqrt_alphas_cumprod": alpha,
            "sqrt_one_minus_alphas_cumprod": sigma,
            "log_one_minus_alphas_cumprod": np.log(sigma**2),
            "sqrt_recip_alphas_cumprod": 1 / alpha,
            "sqrt_recipm1_alphas_cumprod": sigma / alpha,
            "posterior_variance": s.posterior_variance.values,
            "posterior_log_variance_clipped": s.posterior_log_variance.values,
            "posterior_mean_coef1": s.posterior_x0.values,
            "posterior_mean_coef2": s.posterior_xt.values,
        }
        for name in case.about["table_names"]:
            case.check(f"out.{call['id']}.{name}", torch.from_numpy(tables[name]))
        case.check(f"out.{call['id']}.timestep_map", torch.from_numpy(s.times.values))
    for raw in case.about.get("raw_schedules", []):
        betas = beta_schedule(
            raw["beta_schedule"],
            raw["num_diffusion_timesteps"],
            start=raw["beta_start"],
            end=raw["beta_end"],
        )
        case.check(f"out.{raw['id']}.betas", torch.from_numpy(betas))


@pytest.mark.parametrize("case", cases("respacing"))
def test_chosen_steps(case: Case) -> None:
    for entry in case.about["entries"]:
        ask = partial(respace, entry["num_timesteps"], entry["section_counts"])
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


def one_step(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    schedule, told = schedule_of(call["diffusion"]), call["literals"]
    given = case.inputs(call)
    t = given["t"]
    x = given["x"]
    prediction = to_prediction_with_variance("eps", given["model_output"], x, schedule, t)
    x0 = changed_x0(case, told.get("denoised_fn"))(prediction.x0)
    prediction = prediction.with_x0(x0.clamp(-1, 1) if told.get("clip_denoised", True) else x0)
    if "gradient" in given:
        original = schedule.times.as_input(t, x).view(-1, 1, 1, 1)
        prediction = replace(prediction, score=given["gradient"] * (original / 1000) + 0.1 * x)
    if call["op"] == "p_mean_variance":
        step = posterior(prediction, schedule, t)
        return {
            "mean": step.mean,
            "variance": step.log_variance.exp(),
            "log_variance": step.log_variance,
            "pred_xstart": prediction.x0,
            "model_timesteps": schedule.times.as_input(t, x),
        }
    if call["op"] != "p_sample":
        prediction = prediction.apply_score()
    # The case's rows are at steps of their own; a sampler's are all at the same one.
    drawn = [drawn_row(call, prediction, schedule, given, row) for row in range(len(x))]
    return {"sample": torch.cat(drawn), "pred_xstart": prediction.x0}


def drawn_row(
    call: Mapping[str, Any],
    prediction: Prediction,
    schedule: Schedule,
    given: Mapping[str, Tensor],
    row: int,
) -> Tensor:
    own, k = slice(row, row + 1), int(given["t"][row])
    if call["op"] == "p_sample":
        return sampler.ancestral_step(prediction[own], schedule, k, given["noise"][own])
    if call["op"] == "ddim_sample":
        eta, fresh = call["literals"]["eta"], given["noise"][own]
        return sampler.ddim_step(prediction[own], schedule, k, fresh, eta=eta)
    assert call["op"] == "ddim_reverse_sample"
    return sampler.ddim_inversion_step(prediction[own], schedule, k)


def closed_form(case: Case, call: Mapping[str, Any]) -> dict[str, Tensor]:
    """The operations that need no network."""
    s, given = schedule_of(call["diffusion"]), case.inputs(call)
    t = given["t"]
    x_0 = given.get("x_start")
    x_t = given.get("x_t")
    if call["op"] == "q_mean_variance":
        assert x_0 is not None
        variance = Table(s.sigma.values**2)
        log_variance = Table(np.log(variance.values)).rows(t, x_0).expand_as(x_0)
        return {"mean": s.alpha.broadcast_at(t, x_0) * x_0, "log_variance": log_variance,
                "variance": variance.rows(t, x_0).expand_as(x_0)}  # fmt: skip
    if call["op"] == "q_sample":
        assert x_0 is not None
        return {"x_t": add_noise(x_0, given["noise"], s.level(t, x_0))}
    assert x_t is not None
    alpha, sigma = s.alpha.rows(t, x_t), s.sigma.rows(t, x_t)
    prediction = Prediction(x_t if x_0 is None else x_0, x_t, alpha, sigma)
    if call["op"] == "q_posterior_mean_variance":
        step = posterior(prediction, s, t)
        variance = s.posterior_variance.rows(t, x_t).expand_as(x_t)
        return {"mean": step.mean, "variance": variance, "log_variance": step.log_variance}
    if call["op"] == "predict_xstart_from_eps":
        return {"x_start": to_prediction("eps", given["eps"], x_t, s.level(t, x_t)).x0}
    assert call["op"] == "predict_eps_from_xstart"
    return {"eps": prediction.eps}


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


class Network:
    """A denoiser that remembers the times its network was told."""

    def __init__(self, model: TextUNet, schedule: Schedule, tokens: Tensor, mask: Tensor) -> None:
        self.model, self.schedule = model, schedule
        self.text_cond = model.encode_condition(tokens, mask)
        self.image_cond = ImageConditioning()
        self.told: list[Tensor] = []

    def __call__(self, x_t: Tensor, step: int) -> Prediction:
        return self._predict(x_t, step, self.text_cond[: len(x_t)], self.image_cond)

    def with_and_without_condition(self, x_t: Tensor, step: int) -> tuple[Prediction, Prediction]:
        together = self._predict(x_t.repeat(2, 1, 1, 1), step, self.text_cond, self.image_cond)
        return together[: len(x_t)], together[len(x_t) :]

    def _predict(
        self, x: Tensor, step: int, text_cond: TextConditioning, image_cond: ImageConditioning
    ) -> Prediction:
        times = self.schedule.times.as_input(step, x)
        self.told.append(times)
        out = self.model(x, times, text_cond, image_cond)
        return to_prediction_with_variance("eps", out, x, self.schedule, step)


def by_clip(case: Case, told: Mapping[str, Any]) -> wrappers.LogLikelihood:
    """The case's CLIP as a likelihood: it is told the process's own times, whatever its noise."""
    encoders, scale = case.clip(), case.about["models"]["clip"]["config"]["logit_scale"]
    tokens, lens = case.tensors[told["tokens"]], case.tensors[told["lens"]]
    texts = unit(encoders.text(tokens, torch.arange(tokens.shape[1]) < lens[:, None])).detach()

    def similarity(x_t: Tensor, level: NoiseLevel) -> Tensor:
        seen = unit(encoders.image(x_t, level.time))
        return told["grad_scale"] * scale * (seen * texts).sum(dim=1)

    return similarity


@pytest.mark.parametrize("case", cases("sample_loop"))
@torch.no_grad()
def test_whole_loops(case: Case) -> None:
    loop, stored = case.about["loop"], case.tensors
    given = {name: stored[key] for name, key in loop["model_kwargs"].items()}
    tokens = given.get("tokens", stored.get("in.tokens_from_prompts"))
    mask = given.get("mask", stored.get("in.mask_from_prompts"))
    assert tokens is not None
    assert mask is not None
    schedule = schedule_of(loop["diffusion"])
    # With classifier-free guidance the reference keeps a second half of rows, which nobody looks
    # at; ours has the first half alone.
    guided = "cfg_scale" in loop
    rows = slice(0, len(tokens) // 2 if guided else len(tokens))
    network = Network(case.model(), schedule, tokens, mask)
    network.image_cond = ImageConditioning(
        given.get("inpaint_image"), given.get("inpaint_mask"), given.get("low_res")
    )
    denoise: Denoiser = network
    if guided:
        denoise = wrappers.classifier_free(network, scale=loop["cfg_scale"], schedule=schedule)
    known = loop.get("denoised_fn")
    if known is not None:
        image, region = (stored[known[f"inpaint_{name}"]][rows] for name in ("image", "mask"))
        denoise = wrappers.inpainting(denoise, image=image, mask=region)
    if loop["clip_denoised"]:
        denoise = wrappers.static_threshold(denoise)
    if "clip_guidance" in loop:
        likelihood = by_clip(case, loop["clip_guidance"])
        denoise = wrappers.score_guidance(
            denoise, likelihood=likelihood, noise_aware=True, schedule=schedule
        )
    samplers = {
        "p_sample": sampler.ancestral,
        "ddim_sample": partial(sampler.ddim, eta=loop.get("eta", 0.0)),
    }
    noise = Recorded(stored["in.noise"][:, rows])
    states = list(samplers[loop["sampler"]](denoise, stored["in.x_T"][rows], schedule, noise))
    case.check("out.x_steps", torch.stack([s.x for s in states]), (slice(None), rows))
    case.check("out.pred_xstart_steps", torch.stack([s.x0 for s in states]), (slice(None), rows))
    case.check("out.model_timesteps", torch.stack(network.told))
    case.check("out.sample", states[-1].x, rows)
    if guided:
        case.check("out.sample_cond_half", states[-1].x)
