"""The gradient that guides: of what it says it is, in every process, and for every sampler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genzoo.core.errors import UsageError
from genzoo.core.noise import Noise
from genzoo.core.types import Condition
from genzoo.diffusion.guidance import Classifier
from genzoo.diffusion.predict import Prediction
from genzoo.diffusion.process import EDM, Discrete, Process, RectifiedFlow
from genzoo.diffusion.sampling import SAMPLERS, Sampling
from genzoo.diffusion.schedule import NoiseLevel, Schedule
from genzoo.models.noisy_classifier import NoisyClassifier

UNET = {"width": 8, "multiples": [1, 2], "blocks": 1, "attention": [2], "head_channels": 8,
        "groups": 4, "patch": 2}  # fmt: skip
PROCESSES: dict[str, Callable[[], Process]] = {
    "discrete": lambda: Discrete(
        schedule="squaredcos_cap_v2", steps=1000, prediction="x0", learned_variance=False
    ),
    "flow": RectifiedFlow,
    "edm": EDM,
}


def condition(labels: list[int]) -> Condition:
    rows = len(labels)
    return Condition(
        ("",) * rows,
        torch.zeros(rows, 4, dtype=torch.long),
        torch.zeros(rows, 4, dtype=torch.bool),
        torch.tensor(labels),
    )


@pytest.fixture
def classifier() -> NoisyClassifier:
    torch.manual_seed(0)
    model = NoisyClassifier(
        image_size=8, labels=3, unet=UNET, process=PROCESSES["discrete"]()
    ).double()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.requires_grad_(False)


def test_the_score_is_the_slope_of_the_log_probability(classifier: NoisyClassifier) -> None:
    x_t = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    level = PROCESSES["discrete"]().schedule("10").level(torch.tensor([3, 7]), x_t)
    cond = condition([2, 0])
    x = x_t.clone().requires_grad_()
    (slope,) = torch.autograd.grad(classifier.log_likelihood(cond)(x, level).sum(), x)
    towards = torch.randn_like(x_t)

    def log_p(x: Tensor) -> Tensor:
        # `forward` rounds to float32 at its end; the network itself does not.
        size = (level.alpha**2 + level.sigma**2).sqrt()
        angle = torch.atan2(level.sigma, level.alpha).flatten() * (2000 / torch.pi)
        return classifier.network(x / size, angle).log_softmax(1)[[0, 1], cond.label]

    step = 1e-5
    rise = (log_p(x_t + step * towards) - log_p(x_t - step * towards)) / (2 * step)
    torch.testing.assert_close((slope * towards).sum((1, 2, 3)), rise, rtol=1e-4, atol=1e-6)


def test_it_sees_the_same_in_every_process(classifier: NoisyClassifier) -> None:
    """The same image and noise in the same proportion, however large both are."""
    x_0, eps = torch.randn(2, 2, 3, 8, 8, dtype=torch.float64)
    alpha = torch.full((2, 1, 1, 1), 0.6, dtype=torch.float64)
    sigma = torch.full((2, 1, 1, 1), 0.8, dtype=torch.float64)
    seen = [
        classifier(
            size * (alpha * x_0 + sigma * eps),
            NoiseLevel(size * alpha, size * sigma, torch.zeros(2)),
        )
        for size in (1.0, 1 / 1.4, 1 / 0.6)
    ]
    torch.testing.assert_close(seen[0], seen[1])
    torch.testing.assert_close(seen[0], seen[2])


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("method", SAMPLERS)
def test_guided_samples_are_likelier(
    process: str, method: str, classifier: NoisyClassifier
) -> None:
    """Of a denoiser that knows nothing, every sampler draws what the classifier asks for."""
    schedule: Schedule = PROCESSES[process]().schedule(20)
    cond = condition([1] * 6)
    sampling = Sampling(method, steps=20)

    def denoise(x_t: Tensor, step: int) -> Prediction:
        level = schedule.level(step, x_t)  # the ideal one for standard normal images
        total = level.alpha**2 + level.sigma**2
        return Prediction(level.alpha / total * x_t, x_t, level.alpha, level.sigma)

    def drawn(scale: float) -> Tensor:
        noise = Noise.of(0, range(6))
        towards = Classifier(classifier, scale).log_likelihood(cond)
        images = sampling.sample(
            sampling.guided(sampling.thresholded(denoise), towards, schedule, noise_aware=True),
            start=noise.child("start").normal(3, 8, 8).double(),
            schedule=schedule,
            noise=noise.child("steps"),
        )
        clean = NoiseLevel(
            torch.ones(6, 1, 1, 1, dtype=torch.float64),
            torch.zeros(6, 1, 1, 1, dtype=torch.float64),
            torch.zeros(6),
        )
        return classifier(images, clean).log_softmax(1)[:, 1].mean()

    free, guided = drawn(0.0), drawn(30.0)
    assert guided.isfinite()
    assert guided > free + 0.05


def test_a_class_has_to_be_named(classifier: NoisyClassifier) -> None:
    for label, word in ((-1, "none"), (3, "3 was")):
        with pytest.raises(UsageError, match=word):
            classifier.log_likelihood(condition([label]))
