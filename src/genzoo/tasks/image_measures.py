"""What task=score measures on images: features, captions, how well both go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from omegaconf import DictConfig

from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.errors import UsageError
from genzoo.data.image_set import ImageBatch
from genzoo.metrics.captions import CaptionAccuracy
from genzoo.metrics.clip_score import CLIPScore
from genzoo.metrics.kinship import kinship_by_hashes
from genzoo.metrics.stamp import Plain, definition, measurement
from genzoo.metrics.suite import too_few_samples
from genzoo.tasks import measuring, references
from genzoo.tasks.clip_score import about_scorer, clip_score
from genzoo.tasks.measuring import Entry
from genzoo.tasks.score_reference import Reference


class ImageMeasures:
    """All that is measured on images, with and without captions.

    Args:
        cfg: the prepared configuration.
        reference: what they are measured against.
        captions: by the images' keys, or None.
        tensors: hashes of the model's tensors and of its guide's, if it is known whose samples
            these are.

    Attributes:
        missing: the reason by metric, of what is not measured.

    Raises:
        UsageError: where nothing is left that could be measured.
    """

    def __init__(
        self,
        cfg: DictConfig,
        reference: Reference,
        captions: Mapping[str, str] | None,
        *,
        tensors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.cfg, self.features, self.captions = cfg, reference.measures, captions
        self.data, self._tensors = reference.data, tensors
        self.missing = dict(reference.missing)
        self._scored = self._scoring()
        self._accuracy, self._attributes = self._caption_accuracy()
        self._order = {key: k for k, key in enumerate(captions or ())}
        if not self.features and self._scored is None and self._accuracy is None:
            raise UsageError(
                "there is nothing to measure",
                "name metrics.extractors=, or metrics.clip= captions=",
            )

    def update(self, batch: ImageBatch) -> None:
        """Add the next images."""
        index = torch.arange(batch.first, batch.first + len(batch.keys))
        for measure in self.features:
            measure.update(measure.extractor(batch.pixels), index)
        if self.captions is None:
            return
        if self._scored is not None:
            own = [self.captions[key] for key in batch.keys]
            self._scored[0].update(batch.pixels, own, index)
        if self._accuracy is not None:
            places = [self._order[key] for key in batch.keys]
            count = len(self._attributes)
            self._accuracy.update(
                batch.pixels,
                [self._attributes[k] for k in places],
                [self._attributes[(k + 1) % count] for k in places],
            )

    def entries(self, about: Mapping[str, Plain], count: int) -> dict[str, Entry]:
        """The values, each with its stamp.

        Args:
            about: the part of the stamp that all share.
            count: how many images there were.
        """
        settings = measuring.metric_settings(self.cfg)
        few = too_few_samples(count, settings) if self.features else ()
        self.missing |= dict.fromkeys(few, f"{count} images")
        entries: dict[str, Entry] = {}
        for measure in self.features:
            measure.without = (*measure.without, *few)
            for name, value in measure.compute().items():
                own = measurement(
                    name,
                    extractor=measure.extractor,
                    settings=settings,
                    real=len(measure.real),
                    fake=count,
                )
                own |= {**about, **measure.about(name), **self._kin(measure.extractor)}
                entries[name] = {**value._asdict(), "stamp": own}
        if self._scored is not None:
            score, model = self._scored
            own = {**about_scorer(self.cfg, about, score, model), **self._kin(model)}
            entries |= _stamped(score.compute(), {**own, **about})
        if self._accuracy is not None:
            entries |= _stamped(self._accuracy.compute(), {"judge": about["data"], **about})
        return entries

    def real(self, entries: Mapping[str, Entry], count: int) -> dict[str, Any]:
        """What as many real images of the data score, as in results.json of task=evaluate.

        Args:
            entries: the images' own values.
            count: how many images there were.
        """
        if self.data is None:
            return {}
        cfg = self.cfg.copy()
        cfg.metrics.images = count
        score, model = self._scored or (None, None)
        measures = measuring.Measures(self.features, self._accuracy, score)
        rows = references.references(cfg, self.data, measures, model)
        near = references.closeness(cfg, self.features, entries, rows)
        return {"references": rows, "closeness": near}

    def _kin(self, scorer: object) -> dict[str, Plain]:
        """What a scorer is to the samples of a run, as stamps say it; nothing if a stranger."""
        kin = None if self._tensors is None else kinship_by_hashes(scorer, **self._tensors)
        return {} if kin is None else {"scorer_kinship": kin}

    def _scoring(self) -> tuple[CLIPScore, ImageTextModel] | None:
        if self.captions is None and self.cfg.metrics.clip is not None:
            self.missing["clip_score"] = "captions= is not given"
        return None if self.captions is None else clip_score(self.cfg)

    def _caption_accuracy(self) -> tuple[CaptionAccuracy | None, list[Mapping[str, Any]]]:
        data = self.data
        truth = None if data is None else data.ground_truth
        if data is None or truth is None:
            return None, []
        if self.captions is None:
            self.missing["caption_accuracy"] = "captions= is not given"
            return None, []
        known = dict(zip(data.captions, data.attributes, strict=True))
        attributes = [known.get(caption) for caption in self.captions.values()]
        whole = [found for found in attributes if found is not None]
        if len(whole) < len(attributes):
            unknown = len(attributes) - len(whole)
            self.missing["caption_accuracy"] = f"{unknown} captions are none of {data.name}'s"
            return None, []
        return CaptionAccuracy(truth.score_caption, truth.caption_parts), whole


def _stamped(values: Mapping[str, Any], about: Mapping[str, Plain]) -> dict[str, Entry]:
    return {
        name: {**value._asdict(), "stamp": {**definition(name), **about}}
        for name, value in values.items()
    }
