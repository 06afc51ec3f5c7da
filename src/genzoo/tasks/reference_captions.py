"""What real images score with their own captions, and with those of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.digest import of_items
from genzoo.data.dataset import TextImageData
from genzoo.metrics.captions import NAME as ACCURACY
from genzoo.metrics.captions import SHUFFLED, CaptionAccuracy
from genzoo.metrics.clip_score import CLIPScore
from genzoo.metrics.stamp import definition
from genzoo.metrics.suite import MetricValue
from genzoo.run import devices
from genzoo.tasks.clip_score import about_scorer, measure_of
from genzoo.tasks.measuring import Entry, shown
from genzoo.tasks.real_images import real_batches
from genzoo.tasks.reference_images import Chosen, about


def with_captions(
    cfg: DictConfig,
    data: TextImageData,
    chosen: Chosen,
    image_text: ImageTextModel | None,
    *,
    shift: int,
) -> dict[str, Entry]:
    """Caption accuracy and CLIP score of real images, as far as there are such.

    Args:
        cfg: the prepared configuration.
        data: whose images they are.
        chosen: the images.
        image_text: what scores, if anything does.
        shift: 0 for their own captions; 1 for those of the images after them, and so on.
    """
    order, numbers = chosen.indices.tolist(), range(len(chosen.indices))
    said, others = (shown(data, order, [i + k for i in numbers]) for k in (shift, shift + 1))
    accuracy, score = _accuracy(data), _score(cfg, image_text)
    done = 0
    for images in real_batches(data, chosen.indices, "real images with captions"):
        rows = slice(done, done + len(images))
        if accuracy is not None:
            accuracy.update(
                images, data.caption_attributes(said[rows]), data.caption_attributes(others[rows])
            )
        if score is not None:
            words = data.texts_of(said[rows])
            score.update(images, words, torch.arange(done, done + len(images)))
        done += len(images)
    common = {
        "caption_split": cfg.metrics.caption_split,
        "captions": of_items(said, data.texts_of(said)),
        **about(cfg, data, chosen),
    }
    entries: dict[str, Entry] = {}
    if accuracy is not None:
        values = accuracy.compute()
        if shift:  # these are of other captions already
            values.pop(f"{ACCURACY}/{SHUFFLED}", None)
        entries |= _stamped(values, {"judge": data.name, **common})
    if score is not None and image_text is not None:
        scorer = about_scorer(cfg, common, score, image_text)
        entries |= _stamped(score.compute(), {**scorer, **common})
    return entries


# The first process alone measures real images: nothing is gathered.
def _accuracy(data: TextImageData) -> CaptionAccuracy | None:
    truth = data.ground_truth
    if truth is None:
        return None
    return CaptionAccuracy(truth.score_caption, truth.caption_parts, sync_on_compute=False)


def _score(cfg: DictConfig, image_text: ImageTextModel | None) -> CLIPScore | None:
    if image_text is None:
        return None
    return measure_of(image_text, device=devices.device(cfg), sync_on_compute=False)


def _stamped(values: Mapping[str, MetricValue], about: Mapping[str, Any]) -> dict[str, Entry]:
    return {
        name: {**value._asdict(), "stamp": {**definition(name), **about}}
        for name, value in values.items()
    }
