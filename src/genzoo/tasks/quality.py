"""What `metrics.during` measures: samples of the moving average while a model is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from genzoo.data.dataset import TextImageData
from genzoo.lit.module import GenerativeModule
from genzoo.machine import distributed
from genzoo.tasks.evaluate import sample_metrics
from genzoo.tasks.measuring import Subject
from genzoo.text.tokenizer import Tokenizer

SAMPLES = "samples"  # beside the metrics: how many samples they are of


def quality(
    cfg: DictConfig,
    module: GenerativeModule,
    data: TextImageData,
    tokenizer: Tokenizer,
    guidance: Any,
    pause: Callable[[], None],
) -> dict[str, float]:
    """The metrics of `metrics.during_images` samples by name, and the number of samples.

    The number of samples is raised to a multiple of the ranks: weights may be sharded, so that
    all ranks have to sample equally often.

    Args:
        cfg: the prepared configuration.
        module: in training.
        data: with the captions and the real images.
        tokenizer: of these captions.
        guidance: as for `GenerativeModel.sample`.
        pause: called between batches.
    """
    ranks = distributed.world()
    fewer = copy.deepcopy(cfg)
    fewer.metrics.images = -(-cfg.metrics.during_images // ranks) * ranks
    subject = Subject(guidance=guidance)  # no stamp is kept
    sampled = sample_metrics(fewer, module.ema.model, data, tokenizer, subject, pause=pause)
    entries = sampled.entries
    values = {name: float(entry["value"]) for name, entry in entries.items()}
    return {SAMPLES: fewer.metrics.images, **values}
