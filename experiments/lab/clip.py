"""What a CLIP says of pictures that a study has drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.lab.entries import Entry
from experiments.lab.sweep import Outcome
from experiments.lab.trained import BATCH, LoadedModel
from genzoo.contrastive.image_text import ImageTextModel
from genzoo.core.image import to_float
from genzoo.metrics.clip_score import NAME as CLIP_SCORE
from genzoo.metrics.clip_score import CLIPScore
from genzoo.metrics.kinship import weights_hash
from genzoo.metrics.stamp import definition
from genzoo.metrics.suite import MetricValue
from genzoo.tasks.clip_score import clip_score

R_PRECISION = "r_precision"
# Of the stamp of the same pictures' features.
SHARED = (
    "generated_images", "caption_split", "given", "training_seed", "sample_seed", "guidance",
    "sampler", "ema", "data", "data_fingerprint", "image_size", "git", "version",
)  # fmt: skip


@dataclass(frozen=True)
class ClipEvaluator:
    """A CLIP that scores.

    Attributes:
        score: the CLIP score ...
        image_text: ... and its CLIP.
    """

    score: CLIPScore
    image_text: ImageTextModel

    @classmethod
    def of(cls, trained: LoadedModel, outcome: Outcome) -> ClipEvaluator:
        """The CLIP of a run, on the device of the model whose pictures it judges."""
        cfg = trained.cfg.copy()
        cfg.metrics.clip = str(outcome.last.folder)
        found = clip_score(cfg)
        assert found is not None
        return cls(*found)

    def entries(
        self, pictures: Tensor, captions: Sequence[str], *, about: Mapping[str, Any]
    ) -> dict[str, Entry]:
        """CLIP score and R-precision.

        Args:
            pictures: 8 bit.
            captions: that they were drawn for.
            about: the stamp of the same pictures' features.
        """
        self.score.reset()
        for start in range(0, len(pictures), BATCH):
            part = slice(start, start + BATCH)
            index = torch.arange(start, start + len(captions[part]))
            self.score.update(pictures[part], captions[part], index)
        (score,) = self.score.compute().values()
        found = MetricValue(self._r_precision(pictures, captions), None, "higher")
        weights = {"scorer_weights": weights_hash(self.image_text)}
        own = {**self.image_text.about, **weights, **{key: about[key] for key in SHARED}}
        return {
            name: {**value._asdict(), "stamp": {**definition(name), **own}}
            for name, value in ((CLIP_SCORE, score), (R_PRECISION, found))
        }

    @torch.no_grad()
    def _r_precision(self, pictures: Tensor, captions: Sequence[str]) -> float:
        """The share of pictures whose own caption fits them best, of all that were drawn.

        CLIP R-precision (Park et al., Benchmark for compositional text-to-image synthesis, 2021).
        """
        texts = sorted(set(captions))
        own = torch.tensor([texts.index(caption) for caption in captions])
        said = self.image_text.encode_text(texts)
        parts = to_float(pictures).to(said.device).split(BATCH)
        likeliest = torch.cat(
            [(self.image_text.encode_image(p) @ said.T).argmax(1) for p in parts]
        )
        return float((likeliest.cpu() == own).double().mean())
