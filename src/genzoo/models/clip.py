"""CLIP (Radford et al., arXiv 2103.00020): how well captions and images go together.

The noise-aware one (GLIDE, arXiv 2112.10741, section 2.4) reads the noisy images of a diffusion
process, so that its gradient guides every step of sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from genzoo.contrastive.encoders import CaptionEncoder, ImageEncoder
from genzoo.contrastive.loss import (
    contrastive_loss,
    positive_captions,
    positive_pairs,
    retrieval_ranks,
)
from genzoo.core.errors import Unsupported, UsageError
from genzoo.core.noise import Noise
from genzoo.core.precision import exact
from genzoo.core.types import Batch, Losses
from genzoo.diffusion.process import Discrete, Process, q_sample
from genzoo.diffusion.schedule import NoiseLevel
from genzoo.models.scoring import ScoringModel
from genzoo.text.tokenizer import Tokenizer

LARGEST_SCALE = 100.0  # of the cosines (arXiv 2103.00020, section 2.4)
FIRST_SCALE = 1 / 0.07
RECALL = (1, 5, 10)
TIMES = 9  # at which a noise-aware one is measured, from none of the noise to all of it


class CLIP(ScoringModel):
    """Two encoders and a temperature.

    Args:
        image_size: height and width of the images.
        features: that an image or a caption becomes.
        image: arguments of the `ImageEncoder`.
        text: arguments of the `CaptionEncoder`.
        noise_aware: whether it takes noisy images and the step of their noise.
        process: of the noise; a discrete one.
        crop: the least share of an image's area that is used in training, a square at a random
            place, resized; 1 for whole images.
        patch_dropout: share of its patches that is left out in training (arXiv 2212.00794).
        chunk: images and captions that are encoded and compared at once in training, so that
            large batches fit into memory, for a third more time; None: all.

    Raises:
        UsageError: for a process without discrete steps, or if nothing of an image is left.
    """

    use = (
        "let it guide (guidance=classifier guidance.checkpoint=<this one>), score "
        "(metrics.clip=<this one>) or train unCLIP on it (model=unclip clip=<this one>)"
    )
    to_guide = "model=clip model.noise_aware=true"

    def scorer(self, tokenizer: Tokenizer, *, name: str, sha256: str) -> CLIPWithTokenizer:
        return CLIPWithTokenizer(self, tokenizer, name, sha256)

    @property
    def reads_captions(self) -> bool:
        """Always, though it samples none."""
        return True

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        if settings["noise_aware"] and "steps" not in settings["process"]:
            raise UsageError(
                "a noise-aware CLIP counts the steps of its process, and this one has none",
                "use model/process=discrete; it guides models of every process",
            )

    @classmethod
    def size_unit(cls, settings: Mapping[str, Any]) -> int:
        return int(settings["image"]["patch"])

    @classmethod
    def check_batches(
        cls, settings: Mapping[str, Any], *, batch: int, accumulate: int, processes: int
    ) -> None:
        if batch < 2:
            raise UsageError(
                f"optimizer.batch_size={batch} leaves no other caption to contrast with",
                "write optimizer.batch_size=2 or, better, 64 and more",
            )
        if accumulate > 1:
            raise UsageError(
                f"optimizer.accumulate={accumulate} batches of {batch} are not one of "
                f"{accumulate * batch}: each image is contrasted with its own batch",
                f"write optimizer.batch_size={accumulate * batch} model.chunk={batch}, which "
                "takes as little memory",
            )

    def check(self, batch: Batch) -> None:
        if len(batch) < 2 or bool(positive_pairs(batch.tokens).all()):
            raise UsageError(
                "all captions are alike, and there is nothing to contrast",
                "give images captions of their own, or look at data.templates=",
            )

    def __init__(
        self,
        *,
        image_size: int,
        features: int,
        image: Mapping[str, Any],
        text: Mapping[str, Any],
        noise_aware: bool,
        process: Process,
        crop: float = 1.0,
        patch_dropout: float = 0.0,
        chunk: int | None,
    ) -> None:
        super().__init__()
        if noise_aware and not isinstance(process, Discrete):
            raise UsageError(
                "a noise-aware CLIP counts the steps of its process, and this one has none",
                "use model/process=discrete; it guides models of every process",
            )
        if not (0 < crop <= 1 and 0 <= patch_dropout < 1):
            raise UsageError(
                f"model.crop={crop:g} model.patch_dropout={patch_dropout:g} show nothing of an "
                "image, or more than all of it",
                "write a crop above 0 up to 1, and a dropout from 0 to below 1",
            )
        self.noise_aware, self.process, self.chunk = noise_aware, process, chunk
        self.features, self.crop, self.patch_dropout = features, crop, patch_dropout
        steps = process.steps if noise_aware and isinstance(process, Discrete) else 0
        self.image = ImageEncoder(image_size=image_size, features=features, steps=steps, **image)
        self.text = CaptionEncoder(features=features, **text)
        self.log_scale = nn.Parameter(torch.tensor([math.log(FIRST_SCALE)]))

    @property
    def scale(self) -> Float[Tensor, ""]:
        """The factor of the cosines: the inverse temperature."""
        return self.log_scale.exp()[0]

    def compilable(self) -> list[nn.Module]:
        return [self.image, self.text]

    def losses(self, batch: Batch, *, noise: Noise) -> Losses:
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(LARGEST_SCALE))
        images, times = cropped(batch.image, self.crop, noise=noise.child("crop")), None
        kept = self._kept(noise.child("patches"))
        if self.noise_aware:
            level = self.process.levels(images, noise=noise)
            _, images = q_sample(images, level, noise=noise)
            times = level.time.long()

        def encode(rows: slice) -> Tensor:
            features: Tensor = self.image(
                images[rows],
                None if times is None else times[rows],
                kept=None if kept is None else kept[rows],
            )
            return features

        seen = self._in_chunks(encode, len(batch))
        read = self._in_chunks(
            lambda rows: self.text(batch.tokens[rows], batch.token_mask[rows]), len(batch)
        )
        found = contrastive_loss(
            unit(seen), unit(read), batch.tokens, batch.index, scale=self.scale, chunk=self.chunk
        )
        return Losses(
            (found.image_to_text + found.text_to_image) / 2,
            {
                "image_to_text": found.image_to_text,
                "text_to_image": found.text_to_image,
                "accuracy": found.accuracy,
                "scale": self.scale.detach().expand(len(batch)),
            },
        )

    def encode_text(
        self, tokens: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"]
    ) -> Float[Tensor, "b k"]:
        """Unit vectors of captions."""
        return unit(self.text(tokens, mask))

    def encode_image(
        self, images: Float[Tensor, "b c h w"], level: NoiseLevel | None = None
    ) -> Float[Tensor, "b k"]:
        """Unit vectors of clean images, or for a noise-aware CLIP of x_t.

        Noise of any process will do: x_t is scaled to the variance of CLIP's own process, and the
        step with the nearest share of noise is used.

        Args:
            images: in [-1, 1], or x_t. Clean ones of another size are resized.
            level: of the noise; None for clean ones, which a noise-aware CLIP treats as those of
                its first step.

        Raises:
            Unsupported: for noisy images and a CLIP of clean ones.
        """
        size = (self.image.image_size,) * 2
        if level is None and images.shape[2:] != size:
            images = F.interpolate(
                images, size, mode="bicubic", antialias=True, align_corners=False
            )
        if not self.noise_aware:
            if level is not None:
                raise Unsupported(
                    "this CLIP takes clean images alone", "train one with model.noise_aware=true"
                )
            return unit(self.image(images))
        if level is None:
            return unit(self.image(images, torch.zeros_like(images[:, 0, 0, 0]).long()))
        length = (level.alpha**2 + level.sigma**2).sqrt()
        return unit(self.image((images / length).to(images.dtype), self._steps(level)))

    def _steps(self, level: NoiseLevel) -> Int[Tensor, " b"]:
        """The steps of its own process with the nearest noise level."""
        assert isinstance(self.process, Discrete)
        own = self.process.whole.angle.on(level.sigma.device)
        angle = torch.atan2(level.sigma, level.alpha).flatten().to(own.dtype)
        return (angle[:, None] - own).abs().argmin(dim=1)

    def _kept(self, noise: Noise) -> Int[Tensor, "b m"] | None:
        """The patches of each image that are encoded in training; None for all."""
        if self.patch_dropout == 0:
            return None
        count = len(self.image.position) - 1
        left = max(1, round((1 - self.patch_dropout) * count))
        return noise.uniform(count).argsort(dim=1)[:, :left]

    def _in_chunks(self, encode: Callable[[slice], Tensor], count: int) -> Tensor:
        """All rows encoded; in chunks, with activations recomputed in the backward pass."""
        if self.chunk is None or self.chunk >= count:
            return encode(slice(None))
        parts = slices(count, self.chunk)
        return torch.cat([checkpoint(encode, rows, use_reentrant=False) for rows in parts])

    def scoring_metrics(
        self, batches: Iterable[tuple[Batch, Noise]]
    ) -> dict[str, Float[Tensor, " n"]]:
        """Retrieval: recall of a right caption and of a right image among the k best.

        As on COCO (Karpathy and Fei-Fei, arXiv 1412.2306, section 4.1): each image is a query, for
        which any of its captions is right, and each caption is one, for which its image is right.
        Captions that say the same are right for the images of either. For a noise-aware CLIP also
        of noisy images, at several steps of its process, with k = 1.
        """
        texts, tokens, rows, seen = [], [], [], dict[int | None, list[Tensor]]()
        images = 0
        for batch, noise in batches:
            given = batch.all_captions
            texts += [
                self.encode_text(given.tokens[part], given.token_mask[part])
                for part in slices(len(given), len(batch))
            ]
            tokens.append(given.tokens)
            rows.append(given.row + images)
            images += len(batch)
            for t in self._times():
                seen.setdefault(t, []).append(self._seen(batch, noise, t))
        all_texts = torch.cat(texts)
        right = positive_captions(torch.cat(tokens), torch.cat(rows), images=images)
        found = {}
        for t, parts in seen.items():
            with exact(all_texts.device):
                similarity = torch.cat(parts) @ all_texts.T
            places = {
                "image_to_text": retrieval_ranks(similarity, right),
                "text_to_image": retrieval_ranks(similarity.T, right.T),
            }
            for way, place in places.items():
                for k in RECALL if t is None else RECALL[:1]:
                    name = f"recall_at_{k}/{way}" + ("" if t is None else f"/t_{t}")
                    found[name] = (place < k).float()
        return found

    def _times(self) -> list[int | None]:
        """Steps at which retrieval is measured; None for clean images."""
        if not self.noise_aware:
            return [None]
        assert isinstance(self.process, Discrete)
        last = self.process.steps - 1
        return [None, *(round(last * k / (TIMES - 1)) for k in range(TIMES))]

    def _seen(self, batch: Batch, noise: Noise, t: int | None) -> Tensor:
        if t is None:
            return self.encode_image(batch.image)
        assert isinstance(self.process, Discrete)
        level = self.process.whole.level(t, batch.image)
        _, x_t = q_sample(batch.image, level, noise=noise.child(f"{t}"))
        return self.encode_image(x_t, level)


@dataclass(frozen=True)
class CLIPWithTokenizer:
    """An `ImageTextModel` of a CLIP of genzoo's, or of a released one of the same architecture.

    Attributes:
        model: in evaluation mode.
        tokenizer: of its captions.
        name: for stamps.
        sha256: of its file.
    """

    model: CLIP
    tokenizer: Tokenizer
    name: str
    sha256: str

    @property
    def about(self) -> dict[str, Any]:
        """Which CLIP with which weights."""
        return {
            "clip": self.name,
            "clip_sha256": self.sha256,
            "clip_image_size": self.image_size,
            "clip_tokens": self.tokenizer.context,
        }

    @property
    def noise_aware(self) -> bool:
        """Whether it takes noisy images."""
        return self.model.noise_aware

    @property
    def image_size(self) -> int:
        """Height and width of the images that it was trained on."""
        return self.model.image.image_size

    def to(self, device: torch.device | str) -> CLIPWithTokenizer:
        """Itself, on another device."""
        self.model.to(device)
        return self

    @cached_property
    def scale(self) -> float:
        """The inverse temperature that it was trained with."""
        return float(self.model.scale.detach())

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "b k"]:
        """Unit vectors; a caption that is too long is truncated."""
        move = partial(Tensor.to, device=self.model.log_scale.device, non_blocking=True)
        tokens, mask = self.tokenizer.encode(captions)
        with torch.no_grad():
            return self.model.encode_text(move(tokens), move(mask))

    def encode_image(
        self, images: Float[Tensor, "b c h w"], level: NoiseLevel | None = None
    ) -> Float[Tensor, "b k"]:
        """Unit vectors of images, which are clean unless a level says otherwise."""
        return self.model.encode_image(images, level)

    def is_truncated(self, captions: Sequence[str]) -> Bool[Tensor, " b"]:
        """Which captions are longer than the context."""
        lengths = torch.tensor(self.tokenizer.lengths(captions), dtype=torch.long)
        return lengths > self.tokenizer.context


def unit(features: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Vectors of length 1, in float32."""
    return F.normalize(features.float(), dim=-1)


def slices(count: int, size: int) -> list[slice]:
    """Consecutive parts of a range, the last one short."""
    return [slice(start, start + size) for start in range(0, count, size)]


def cropped(
    images: Float[Tensor, "b c h w"], least: float, *, noise: Noise
) -> Float[Tensor, "b c h w"]:
    """A random square crop of each image, resized to the size of the image.

    Args:
        images: square ones.
        least: share of the area; that of a crop is uniform from here to 1.
        noise: one stream an image.
    """
    if least == 1:
        return images
    u = noise.uniform(3)
    side = (least + (1 - least) * u[:, 0]).sqrt()
    centre = (1 - side)[:, None] * (2 * u[:, 1:] - 1)
    turn = side[:, None, None] * torch.eye(2, device=images.device)
    grid = F.affine_grid(
        torch.cat([turn, centre[..., None]], dim=2), list(images.shape), align_corners=False
    )
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)
