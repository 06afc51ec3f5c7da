"""The most suspicious pairs of a run: samples beside the training images nearest to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genzoo.api.drawing import sample_images
from genzoo.core.files import write_whole
from genzoo.core.image import save_png
from genzoo.data.dataset import TextImageData
from genzoo.metrics.suite import FeatureMetrics
from genzoo.models.base import GenerativeModel
from genzoo.run import devices
from genzoo.tasks.calibrating import training_indices
from genzoo.tasks.measuring import caption_order, shown
from genzoo.tasks.pictures import condition_of
from genzoo.text.tokenizer import Tokenizer

PAIRS = 5
FILE = "memorisation.json"


def write_pairs(
    cfg: DictConfig,
    model: GenerativeModel,
    data: TextImageData,
    tokenizer: Tokenizer,
    measures: Sequence[FeatureMetrics],
    *,
    folder: Path,
    guidance: Any,
) -> None:
    """The samples with the smallest ratios, sampled again, and their training images, as PNGs.

    Of several extractors the first one's. Nothing is written where memorisation was not measured.

    Args:
        cfg: the prepared configuration.
        model: that was measured; it samples these images once more, from the same noise.
        data: with captions and training images.
        tokenizer: of the captions.
        measures: that have been computed.
        folder: where they are written.
        guidance: as for `GenerativeModel.sample`.
    """
    measure = next((one for one in measures if one.memorisation is not None), None)
    if measure is None or measure.memorisation is None:
        return
    found = measure.memorisation
    pairs = found.most_suspicious(PAIRS)
    numbers = [pair.sample for pair in pairs]
    captions = shown(data, caption_order(cfg, data), numbers)
    training = training_indices(cfg, data)[[pair.training for pair in pairs]].tolist()
    cond = condition_of(model, data, captions, tokenizer)
    samples = sample_images(
        model,
        cond,
        data.shape,
        seed=cfg.seed,
        indices=numbers,
        device=devices.device(cfg),
        guidance=guidance,
    )
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for k, (pair, index) in enumerate(zip(pairs, training, strict=True)):
        names = {"sample": f"sample-{k}.png", "training": f"training-{k}.png"}
        own = cond.caption[k], data.captions[index]
        images = samples[k], data.images([index])[0]
        for name, image, caption in zip(names.values(), images, own, strict=True):
            save_png(folder / name, image, text={"caption": caption})
        items.append(
            {
                "sample_index": pair.sample,
                "caption": own[0],
                "training_index": index,
                "training_caption": own[1],
                "ratio": pair.ratio,
                "near_copy": pair.ratio <= found.threshold,
                **names,
            }
        )
    content = {
        "extractor": measure.extractor.name,
        "seed": cfg.seed,
        "share": found.share,
        "interval": found.known.interval,
        "threshold": found.threshold,
        "pairs": items,
    }
    write_whole(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False))
