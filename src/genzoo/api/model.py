"""A trained model as a Python object, for notebooks and scripts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from genzoo.api.card import card_text
from genzoo.api.drawing import condition
from genzoo.api.inpainting import Stage, redrawn
from genzoo.api.isolation import undisturbed
from genzoo.api.loaded_model import LoadedModel
from genzoo.api.pictures import as_pictures
from genzoo.api.settings import chosen
from genzoo.core.errors import UsageError
from genzoo.core.image import to_float
from genzoo.core.region import Region
from genzoo.core.types import Batch, Capabilities
from genzoo.data.input_images import Picture, Pictures, each, open_mask, open_picture, open_square
from genzoo.models.base import GenerativeModel, bits_per_dim, parameter_count
from genzoo.run import build, devices, scorers
from genzoo.text.stored import read_tokenizer
from genzoo.weights.checkpoint import Checkpoint

BATCH = 64  # images at once; does not change them


@dataclass(frozen=True)
class LogProb:
    """Log-likelihoods of 8-bit images.

    Attributes:
        nats: one an image, float64, shape (n,).
        exact: whether they are exact; else lower bounds.
        shape: channels, height and width of the images.
    """

    nats: Float[Tensor, " n"]
    exact: bool
    shape: tuple[int, int, int]

    @property
    def bits_per_dim(self) -> Float[Tensor, " n"]:
        """The same in bits per 8-bit channel of a pixel; smaller is likelier."""
        return bits_per_dim(self.nats, self.shape)


class Model:
    """A trained model; `genzoo.load` gives one.

    Image i of a call depends on its seed, its number i and its caption alone: the same call gives
    the same images, whatever was sampled before, and those that `python -m genzoo task=sample`
    writes. A call with `guidance`, `sampler` or `steps` at None samples as the checkpoint says.

    Attributes:
        config: the resolved configuration of the run that made it, as plain data.
        name: what people know the checkpoint by, such as `zoo/glide`.
    """

    def __init__(
        self,
        cfg: DictConfig,
        network: GenerativeModel,
        checkpoint: Checkpoint,
        *,
        verbose: bool = False,
    ) -> None:
        self.config: dict[str, Any] = copy.deepcopy(checkpoint.config)
        self.name = checkpoint.name
        self._cfg = cfg
        self._device = devices.device(cfg)
        self._network = network.to(self._device)
        self._checkpoint = checkpoint
        self._tokenizer = read_tokenizer(checkpoint.about["tokenizer"])
        self._verbose = verbose

    def __repr__(self) -> str:
        seen = self._checkpoint.about["images_seen"]
        return (
            f"<{self.name}: {self.family}, {self.image_size} px, {seen:,} images seen, "
            f"on {self._device}>"
        )

    @property
    def family(self) -> str:
        """Its kind, as `model=` names it."""
        return str(self._cfg.model.name)

    @property
    def image_size(self) -> int:
        """Height and width of its images, in pixels."""
        return int(self._cfg.data.image_size)

    @property
    def card(self) -> str:
        """Where it comes from and what was measured, in Markdown: as `task=export` writes it."""
        beside = self._checkpoint.path.with_suffix(".md")
        if beside.is_file():
            return beside.read_text(encoding="utf-8")
        if "data_fingerprint" not in self._checkpoint.about:
            return f"# {self.name}\n\nReleased weights, not trained by genzoo.\n"
        return card_text(self.name, self._checkpoint, parameter_count(self._network))

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._network.capabilities

    def sample(
        self,
        captions: str | Sequence[str] = "",
        *,
        count: int | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        batch: int = BATCH,
    ) -> list[Image.Image]:
        """Sample images from captions.

        Args:
            captions: one or several; an unconditional family samples as many images.
            count: of samples, cycling through the captions; None: one a caption.
            seed: sample i depends on (seed, i) and its caption alone.
            guidance: the scale of guidance, 1 for none; None: as the checkpoint says.
            steps: of the sampler, for families that take many.
            sampler: `ddim`, `ddpm`, `dpm_solver` or `heun`, for the same families.
            label: a class, for models conditioned on classes.
            batch: samples at once, which changes memory and time alone.

        Returns:
            RGB images of `image_size` pixels a side.

        Raises:
            Unsupported: for what the family cannot do; the message says what to do instead.
            UsageError: for invalid values.
        """
        sampled = self.sample_tensor(
            captions,
            count=count,
            seed=seed,
            guidance=guidance,
            steps=steps,
            sampler=sampler,
            label=label,
            batch=batch,
        )
        return as_pictures(sampled)

    def sample_tensor(
        self,
        captions: str | Sequence[str] = "",
        *,
        count: int | None = None,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        batch: int = BATCH,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """As `sample`, as 8-bit pixels (n, 3, h, w) on the CPU."""
        texts = [captions] if isinstance(captions, str) else [str(text) for text in captions]
        count = len(texts) if count is None else count
        _check_positive(captions=len(texts), count=count, batch=batch)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, steps=steps, sampler=sampler)
            return loaded.sample(
                texts, count=count, batch=batch, label=loaded.checked_label(label)
            )

    def vary(
        self,
        image: Picture,
        caption: str | None = None,
        *,
        strength: float = 0.5,
        count: int = 1,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        batch: int = BATCH,
    ) -> list[Image.Image]:
        """Variations of an image, of which the central square counts.

        Args:
            image: a file, a PIL image, an array (h, w, 3) or a tensor (3, h, w).
            caption: what it shows; None where nothing is said.
            strength: from 0, the reconstruction, to 1, as free as the model allows.
            count: of samples.
            seed: as for `sample`, and so are the others.
            guidance: the scale.
            steps: of the sampler.
            sampler: its name.
            batch: samples at once.

        Raises:
            Unsupported: by a family without variations.
            UsageError: for what is no image.
        """
        _check_positive(count=count, batch=batch)
        _check_share(strength=strength)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, steps=steps, sampler=sampler)
            given = open_square(image, self.image_size)
            sampled = loaded.variations(
                given, caption, count=count, batch=batch, strength=float(strength)
            )
        return as_pictures(sampled)

    def interpolate(
        self,
        start: Picture,
        end: Picture,
        *,
        steps: int = 9,
        captions: tuple[str | None, str | None] = (None, None),
        seed: int = 0,
        guidance: float | None = None,
        sampler: str | None = None,
        sampler_steps: int | str | None = None,
    ) -> list[Image.Image]:
        """An interpolation between two images, or between two captions.

        Args:
            start: a caption, or an image as for `vary`, with files as `pathlib.Path`.
            end: the same for the other endpoint.
            steps: images of the interpolation, endpoints included.
            captions: of two images, where the family reads them.
            seed: both endpoints have the noise of its sample 0.
            guidance: as for `sample`.
            sampler: as for `sample`.
            sampler_steps: `steps` of `sample`.

        Raises:
            Unsupported: by a family without it; see `capabilities.interpolate`.
            UsageError: for a caption and an image.
        """
        if steps < 2:
            raise UsageError(f"steps: {steps} is too few", "give two or more, the ends included")
        if isinstance(start, str) != isinstance(end, str):
            raise UsageError(
                "one endpoint is a caption and the other an image",
                "give two captions, or two images (files as pathlib.Path)",
            )
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, steps=sampler_steps, sampler=sampler)
            if isinstance(start, str) and isinstance(end, str):
                way = loaded.interpolate([], (start, end), steps=steps)
            else:
                given = [open_square(image, self.image_size) for image in (start, end)]
                way = loaded.interpolate(given, captions, steps=steps)
        return as_pictures(way)

    def text_diff(
        self,
        image: Picture,
        source: str,
        target: str,
        *,
        steps: int = 9,
        strength: float = 1.0,
        seed: int = 0,
        guidance: float | None = None,
    ) -> list[Image.Image]:
        """An image edited by the difference of two captions, in steps.

        Args:
            image: as for `vary`.
            source: caption of the image.
            target: caption of what it is to become.
            steps: images of the edit, the first of which is the reconstruction.
            strength: of the edit, from 0 to 1.
            seed: as for `sample`.
            guidance: as for `sample`.

        Raises:
            Unsupported: by a family without such edits.
        """
        if steps < 2:
            raise UsageError(f"steps: {steps} is too few", "give two or more, the ends included")
        _check_share(strength=strength)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance)
            given = open_square(image, self.image_size)
            way = loaded.text_diff(given, source, target, steps=steps, strength=float(strength))
        return as_pictures(way)

    def inpaint(
        self,
        image: Picture,
        mask: Picture,
        caption: str,
        *,
        count: int = 1,
        seed: int = 0,
        guidance: float | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
    ) -> list[Image.Image]:
        """Inpaint: images, a part of which is sampled from a caption.

        Args:
            image: as for `vary`, of any size, which is kept.
            mask: of the same size: white, or painted on transparent ground, where it is to be
                sampled; or an array (h, w) of booleans.
            caption: of the sampled part.
            count: of samples.
            seed: as for `sample`, and so are the others.
            guidance: the scale.
            steps: of the sampler.
            sampler: its name.

        Raises:
            Unsupported: for a model that was not trained to inpaint.
            UsageError: for a mask of another size, or an empty one.
        """
        _check_positive(count=count)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, steps=steps, sampler=sampler)
            stage = Stage.of(loaded.model, self._checkpoint, word=self.name)
            region = Region.around(open_picture(image), open_mask(mask), smallest=stage.size)
            versions = redrawn(loaded, [stage], region, caption, count=count)
        return [Image.fromarray(version) for version in versions]

    def reconstruct(
        self, images: Pictures, captions: str | Sequence[str] = ""
    ) -> list[Image.Image]:
        """Images, encoded and decoded.

        Args:
            images: a list, an array (n, h, w, 3), a tensor (n, 3, h, w) or a folder.
            captions: of the images, one for all or one each.

        Raises:
            Unsupported: by a family without an encoder.
        """
        with undisturbed(verbose=self._verbose):
            loaded, parts = self._loaded(0), []
            for batch in self._batches(images, captions):
                parts.append(loaded.reconstruct(batch))
        return as_pictures(torch.cat(parts))

    def log_prob(
        self, images: Pictures, captions: str | Sequence[str] = "", *, seed: int = 0
    ) -> LogProb:
        """Log-likelihoods of images, as 8-bit images at the model's size.

        Args:
            images: as for `reconstruct`.
            captions: of the images, one for all or one each.
            seed: of the noise of bounds and of dequantisation.

        Raises:
            Unsupported: by a family without a likelihood.
        """
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed)
            parts = [loaded.log_prob(batch) for batch in self._batches(images, captions)]
            exact = self.capabilities.likelihood == "exact"
        return LogProb(torch.cat(parts), exact, loaded.shape)

    def _batches(self, images: Pictures, captions: str | Sequence[str]) -> Iterator[Batch]:
        """Images with captions, `BATCH` at a time."""
        pixels = [open_square(image, self.image_size) for image in each(images)]
        _check_positive(images=len(pixels))
        texts = [captions] * len(pixels) if isinstance(captions, str) else list(captions)
        if len(texts) != len(pixels):
            raise UsageError(
                f"{len(texts)} captions came with {len(pixels)} images",
                "give one for all, or one each",
            )
        for start in range(0, len(pixels), BATCH):
            part = slice(start, start + BATCH)
            cond = condition(texts[part], self._tokenizer)
            yield Batch(
                image=to_float(torch.stack(pixels[part])),
                caption=cond.caption,
                tokens=cond.tokens,
                token_mask=cond.token_mask,
                label=cond.label,
                index=torch.arange(start, start + len(cond)),
            ).to(self._device)

    def _loaded(self, seed: int, **asked: Any) -> LoadedModel:
        """What samples in one call."""
        cfg = chosen(self._cfg, seed=seed, **asked)
        # A copy that shares the weights: another call keeps its own sampler.
        network = copy.copy(self._network)
        sampler = build.build_sampler(cfg)
        if sampler is not None:
            network.sampler = sampler
        return LoadedModel(
            cfg,
            network,
            self._checkpoint,
            self._tokenizer,
            scorers.build_guidance(cfg),
            self._device,
            devices.precision(cfg),
        )


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{name}: {number} is too few", "give at least one")


def _check_share(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UsageError(f"{name}={share} is no share", "give a number from 0 to 1")
