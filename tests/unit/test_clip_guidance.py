"""CLIP steers samplers: by x_t if it is noise-aware, else by the image that is expected."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genzoo.contrastive.image_text import CLIPScorer
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.diffusion import wrappers
from genzoo.diffusion.guidance import Classifier
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.process import RectifiedFlow
from genzoo.diffusion.sampling import SAMPLERS, Sampling
from genzoo.diffusion.schedule import NoiseLevel, Schedule
from genzoo.models.clip import CLIPWithTokenizer
from genzoo.text.bpe import BPETokenizer
from tests.unit.test_clip import clip

COUNT = 4


def image_text(*, noise_aware: bool) -> CLIPWithTokenizer:
    tokenizer = BPETokenizer.train(["a red heart"], vocab_size=300, context=32)
    model = clip(noise_aware=noise_aware).eval().requires_grad_(False)
    return CLIPWithTokenizer(model, tokenizer, "tiny", "0" * 64)


def condition(text: str) -> Condition:
    tokens = torch.zeros(COUNT, 2, dtype=torch.long)  # of another tokenizer, which CLIP ignores
    return Condition((text,) * COUNT, tokens, tokens > 0, torch.full((COUNT,), -1))


def ideal(schedule: Schedule) -> wrappers.Denoiser:
    """Of standard normal images, which knows nothing of captions."""

    def denoise(x_t: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x_t)
        total = level.alpha**2 + level.sigma**2
        return Prediction(level.alpha / total * x_t, x_t, level.alpha, level.sigma)

    return denoise


@pytest.mark.parametrize("noise_aware", [True, False])
def test_the_score_is_the_slope_of_the_similarity(noise_aware: bool) -> None:
    schedule = RectifiedFlow().schedule(8)
    denoise, cond = ideal(schedule), condition("a red heart")
    scorer = CLIPScorer(image_text(noise_aware=noise_aware))
    likelihood = Classifier(scorer, 2.0).log_likelihood(cond)
    x_t = torch.randn(COUNT, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    step = 4
    scored = wrappers.score_guidance(
        denoise, likelihood=likelihood, noise_aware=noise_aware, schedule=schedule
    )
    found = scored(x_t, step)
    assert found.score is not None
    assert not found.x0.requires_grad
    torch.testing.assert_close(found.x0, denoise(x_t, step).x0)

    def value(x: Tensor) -> Tensor:
        level = schedule.level(step, x)
        texts = scorer.image_text.encode_text(cond.caption)
        judged = scorer.image_text.encode_image(
            x if noise_aware else denoise(x, step).x0, level if noise_aware else None
        )
        return 2 * scorer.image_text.scale * (judged * texts).sum(1)

    towards = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(1))
    far = 1e-2
    rise = (value(x_t + far * towards) - value(x_t - far * towards)) / (2 * far)
    slope = (found.score * towards).sum((1, 2, 3))
    torch.testing.assert_close(slope, rise, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("noise_aware", [True, False])
@pytest.mark.parametrize("method", SAMPLERS)
def test_guided_samples_fit_the_caption_better(method: str, noise_aware: bool) -> None:
    schedule = RectifiedFlow().schedule(12)
    sampling = Sampling(method, steps=12)
    judge = image_text(noise_aware=noise_aware)
    cond = condition("a red heart")

    def drawn(scale: float) -> float:
        noise = Noise.of(0, range(COUNT))
        guidance = Classifier(CLIPScorer(judge), scale)
        denoise = sampling.guided(
            sampling.thresholded(ideal(schedule)),
            guidance.log_likelihood(cond),
            schedule,
            noise_aware=guidance.noise_aware,
        )
        images = sampling.sample(
            denoise,
            start=noise.child("start").normal(3, 16, 16),
            schedule=schedule,
            noise=noise.child("steps"),
        )
        assert images.isfinite().all()
        clean = None
        if noise_aware:
            one = torch.ones(COUNT, 1, 1, 1)
            clean = NoiseLevel(one, 0 * one, torch.zeros(COUNT))
        seen = judge.encode_image(images.clamp(-1, 1), clean)
        return float((seen * judge.encode_text(cond.caption)).sum(1).mean())

    assert drawn(5.0) > drawn(0.0) + 0.02
