"""guidance.scale=tuned: the scale that suits a model, found before it is measured.

Models compared at one scale are compared at a scale that suits some of them; tuned per model,
the spread between retrained networks was half as large ("The FID Lottery", arXiv 2606.20536).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genzoo.core.errors import UsageError
from genzoo.core.noise import split_seed
from genzoo.data.dataset import TextImageData
from genzoo.machine.console import status
from genzoo.metrics.golden_section import golden_section
from genzoo.metrics.suite import metric_name
from genzoo.models.base import GenerativeModel
from genzoo.run import devices, scorers
from genzoo.tasks.measuring import Measures, caption_order, feature_metrics, measure_samples
from genzoo.text.tokenizer import Tokenizer

OBJECTIVE = "kernel_distance"  # unbiased, so that few samples are enough


@dataclass(frozen=True)
class Tuning:
    """The outcome of a search.

    Attributes:
        scale: with the best value.
        metric: that was minimised.
        images: samples for each scale.
        tried: the metric by scale, in the order of the search.
    """

    scale: float
    metric: str
    images: int
    tried: dict[float, float]

    def document(self) -> dict[str, Any]:
        """As results.json has it."""
        tried = [{"scale": scale, "value": value} for scale, value in self.tried.items()]
        return {
            "scale": self.scale, "metric": self.metric, "images": self.images, "tried": tried
        }  # fmt: skip


def tune_scale(
    cfg: DictConfig, model: GenerativeModel, data: TextImageData, tokenizer: Tokenizer
) -> tuple[DictConfig, Tuning]:
    """The configuration with the guidance scale of the lowest kernel distance, and the search.

    Every scale is tried on the same captions with the same noise. These captions, and the seed,
    are not those of the measurement afterwards. All ranks take part.

    Args:
        cfg: the prepared configuration; `metrics.tuning` has the limits.
        model: on its device, in evaluation mode.
        data: with the captions and the real images.
        tokenizer: of these captions.

    Raises:
        UsageError: where the split has too few captions for both, or there are no features.
    """
    own = copy.deepcopy(cfg)
    order = _other_captions(cfg, data)
    own.metrics.images = cfg.metrics.tuning.images
    own.seed = split_seed(cfg.metrics.seed, "tuning") % 2**31
    own.metrics.extractors = own.metrics.extractors[:1]
    device = devices.device(cfg)

    (measure,) = feature_metrics(own, data, device)
    metric = metric_name(OBJECTIVE, measure.extractor)

    def distance(scale: float) -> float:
        own.guidance.scale = scale
        measure.reset()
        measures = Measures([measure], None, None)
        guidance = scorers.build_guidance(own)
        measure_samples(
            own, model, data, tokenizer, measures, device=device, guidance=guidance, order=order
        )
        value: float = measure.compute()[metric].value
        status(f"  guidance.scale={scale:.4g}: {metric} {value:.4g}")
        return value

    tuning = cfg.metrics.tuning
    tried = golden_section(distance, *tuning.between, trials=tuning.trials)
    best = min(tried, key=tried.__getitem__)
    scale = round(best, 3)
    chosen = copy.deepcopy(cfg)
    chosen.guidance.scale = scale
    found = Tuning(scale, metric, tuning.images, tried)
    words = f"tuned by {found.metric} of {found.images} samples of other captions"
    OmegaConf.update(chosen, "run.tuned", words, force_add=True)
    return chosen, found


def _other_captions(cfg: DictConfig, data: TextImageData) -> list[int]:
    """The captions at the end of the order of which the measurement takes the beginning."""
    if not cfg.metrics.extractors:
        raise UsageError(
            "guidance.scale=tuned compares features, and metrics.extractors= names none",
            "name one: metrics.extractors=[efficientnet_lite0]",
        )
    order, images = caption_order(cfg, data), cfg.metrics.tuning.images
    left = len(order) - cfg.metrics.images
    if left < images:
        raise UsageError(
            f"guidance.scale=tuned needs {images} captions beside the {cfg.metrics.images} that "
            f"are measured, and the split {cfg.metrics.caption_split} has {len(order)}",
            "lower metrics.images or metrics.tuning.images, or give a number: guidance.scale=3",
        )
    return order[-images:]
