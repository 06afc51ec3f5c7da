"""A trained model as a Python object, for notebooks and scripts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import UInt8
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from genzoo.api.abilities import check_able, check_reads, check_samples
from genzoo.api.card import own_card
from genzoo.api.drawing import condition
from genzoo.api.endpoints import Captions, kind_of, pair_of
from genzoo.api.inpainting import Stage, redrawn
from genzoo.api.isolation import undisturbed
from genzoo.api.loaded_model import LoadedModel, SecondStage
from genzoo.api.log_prob import LogProb
from genzoo.api.pictures import as_pictures
from genzoo.api.settings import checked_steps, chosen, default
from genzoo.config.values import wrapped
from genzoo.core.arguments import optional_text, share, text, texts, whole
from genzoo.core.errors import UsageError
from genzoo.core.image import to_float
from genzoo.core.region import Region
from genzoo.core.types import Batch, Capabilities
from genzoo.data.input_images import Picture, Pictures, each, open_mask, open_picture, open_square
from genzoo.models.base import GenerativeModel
from genzoo.run import build, cascade, devices, scorers
from genzoo.text.stored import read_tokenizer
from genzoo.weights.checkpoint import Checkpoint

BATCH = 64  # images at once; does not change them


class Model:
    """A trained model; `genzoo.load` gives one.

    Image i of a call depends on its seed, its number i and its caption alone: the same call gives
    the same images, whatever was sampled before, and those that `python -m genzoo task=sample`
    writes. A call with `guidance`, `sampler` or `steps` at None samples as the checkpoint says.

    Images are given as 8-bit pixels: a file, a PIL image, an array (h, w, 3) or a tensor (3, h, w)
    of uint8. Floats do not say what black and white are; `genzoo.data.to_uint8` converts them.

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
        device: torch.device,
        verbose: bool = False,
    ) -> None:
        self.config: dict[str, Any] = copy.deepcopy(checkpoint.config)
        self.name = checkpoint.name
        self._cfg = cfg
        self._device = device
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
        return own_card(self.name, self._checkpoint, self._network)

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
        scorer: Model | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        upsampler: Model | None = None,
        upsampler_steps: int | str | None = None,
        batch: int = BATCH,
    ) -> list[Image.Image]:
        """Sample images from captions.

        Args:
            captions: one or several; an unconditional family samples as many images.
            count: of samples, cycling through the captions; None: one a caption.
            seed: sample i depends on (seed, i) and its caption alone.
            guidance: the scale of guidance, 1 for none (of a scorer: 0); None: as the checkpoint
                says.
            scorer: a CLIP or a classifier that guides, loaded on the same device; None: as the
                checkpoint says.
            steps: of the sampler, for families that take many.
            sampler: `ddim`, `ddpm`, `dpm_solver` or `heun`, for the same families.
            label: a class, for models conditioned on classes, or for a classifier that guides.
            upsampler: of the samples, loaded on the same device.
            upsampler_steps: of the upsampler; None: as many as the command takes.
            batch: samples at once, which changes memory and time alone.

        Returns:
            RGB images of `image_size` pixels a side, or of the upsampler's size.

        Raises:
            Unsupported: for what the family cannot do; the message says what to do instead.
            UsageError: for invalid values.
        """
        sampled = self.sample_tensor(
            captions,
            count=count,
            seed=seed,
            guidance=guidance,
            scorer=scorer,
            steps=steps,
            sampler=sampler,
            label=label,
            upsampler=upsampler,
            upsampler_steps=upsampler_steps,
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
        scorer: Model | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        upsampler: Model | None = None,
        upsampler_steps: int | str | None = None,
        batch: int = BATCH,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """As `sample`, as 8-bit pixels (n, 3, h, w) on the CPU."""
        given = texts(captions, name="captions")
        count = len(given) if count is None else whole(count, name="count", least=1)
        batch = whole(batch, name="batch", least=1)
        check_samples(self._network, self.name)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(
                seed, guidance=guidance, scorer=scorer, steps=steps, sampler=sampler
            )
            return loaded.sample(
                given,
                count=count,
                batch=batch,
                label=loaded.checked_label(_label(label)),
                second=self._second_stage(upsampler, upsampler_steps),
            )

    def vary(
        self,
        image: Picture,
        caption: str | None = None,
        *,
        strength: float | None = None,
        count: int = 1,
        seed: int = 0,
        guidance: float | None = None,
        scorer: Model | None = None,
        batch: int = BATCH,
    ) -> list[Image.Image]:
        """Variations of an image, of which the central square counts.

        There is no choice of sampler: families that take one invert the image with DDIM.

        Args:
            image: a file, a PIL image, an array (h, w, 3) or a tensor (3, h, w) of uint8.
            caption: what it shows; None where nothing is said.
            strength: from 0, the reconstruction, to 1, as free as the model allows; None: as the
                command has it.
            count: of samples.
            seed: as for `sample`, and so are the others.
            guidance: the scale.
            scorer: that guides.
            batch: samples at once.

        Raises:
            Unsupported: by a family without variations.
            UsageError: for what is no image.
        """
        self._check_able("sample variations of an image", lambda can: can.variations)
        check_reads(self._network, self.name, caption=optional_text(caption, name="caption"))
        count = whole(count, name="count", least=1)
        batch = whole(batch, name="batch", least=1)
        free = share(
            default("vary", "strength") if strength is None else strength, name="strength"
        )
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, scorer=scorer)
            if caption is None and loaded.cfg.guidance.name == "classifier":
                raise UsageError(
                    "a scorer guides towards a caption, and there is none", "give caption="
                )
            given = open_square(image, self.image_size)
            sampled = loaded.variations(given, caption, count=count, batch=batch, strength=free)
        return as_pictures(sampled)

    def interpolate(
        self,
        start: Picture,
        end: Picture,
        *,
        count: int | None = None,
        captions: Captions | None = None,
        seed: int = 0,
        guidance: float | None = None,
        scorer: Model | None = None,
    ) -> list[Image.Image]:
        """An interpolation between two images, or between two captions.

        There is no choice of sampler, as for `vary`.

        Args:
            start: a caption, or an image as for `vary`, with files as `pathlib.Path`.
            end: the same for the other endpoint.
            count: images of the interpolation, endpoints included; None: as many as the command
                makes.
            captions: of two images, where the family reads them; None for the last one means the
                first one's.
            seed: both endpoints have the noise of its sample 0.
            guidance: as for `sample`.
            scorer: as for `sample`; between images nothing guides.

        Raises:
            Unsupported: by a family without it; see `capabilities.interpolate`.
            UsageError: for a caption and an image, or a string that names an image file.
        """
        kind = kind_of(start, end)
        self._check_able(f"interpolate between {kind}", lambda can: kind in can.interpolate)
        first, last = pair_of(captions)
        if kind == "captions" and captions is not None:
            raise UsageError("captions= are of two images, and there are none", "leave it away")
        check_reads(self._network, self.name, captions=first if last is None else last)
        images = _count("interpolate", count)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, scorer=scorer)
            if isinstance(start, str) and isinstance(end, str):
                found = loaded.interpolate([], (start, end), steps=images)
            else:
                given = [open_square(image, self.image_size) for image in (start, end)]
                found = loaded.interpolate(given, (first, last), steps=images)
        return as_pictures(found)

    def text_diff(
        self,
        image: Picture,
        source: str,
        target: str,
        *,
        count: int | None = None,
        strength: float | None = None,
        seed: int = 0,
        guidance: float | None = None,
        scorer: Model | None = None,
    ) -> list[Image.Image]:
        """An image edited by the difference of two captions, in steps.

        Args:
            image: as for `vary`.
            source: caption of the image.
            target: caption of what it is to become.
            count: images of the edit, the first of which is the reconstruction; None: as many as
                the command makes.
            strength: of the edit, from 0 to 1; None: as the command has it.
            seed: as for `sample`.
            guidance: as for `sample`.
            scorer: as for `sample`.

        Raises:
            Unsupported: by a family without such edits.
        """
        self._check_able("edit an image by captions", lambda can: can.text_diff)
        source, target = text(source, name="source"), text(target, name="target")
        images = _count("textdiff", count)
        far = default("textdiff", "strength") if strength is None else strength
        far = share(far, name="strength")
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed, guidance=guidance, scorer=scorer)
            given = open_square(image, self.image_size)
            found = loaded.text_diff(given, source, target, steps=images, strength=far)
        return as_pictures(found)

    def inpaint(
        self,
        image: Picture,
        mask: Picture,
        caption: str,
        *,
        count: int = 1,
        seed: int = 0,
        guidance: float | None = None,
        scorer: Model | None = None,
        steps: int | str | None = None,
        sampler: str | None = None,
        label: int | None = None,
        upsampler: Model | None = None,
        upsampler_steps: int | str | None = None,
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
            scorer: that guides.
            steps: of the sampler.
            sampler: its name.
            label: a class.
            upsampler: that inpaints the result at a larger size.
            upsampler_steps: of the upsampler.

        Raises:
            Unsupported: for a model that was not trained to inpaint.
            UsageError: for a mask of another size, or an empty one.
        """
        count = whole(count, name="count", least=1)
        caption = text(caption, name="caption")
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(
                seed, guidance=guidance, scorer=scorer, steps=steps, sampler=sampler
            )
            stages = [Stage.of(loaded.model, self._checkpoint, word=self.name)]
            second = self._second_stage(upsampler, upsampler_steps)
            if upsampler is not None and second is not None:
                word = f"upsampler {upsampler.name}"
                stages.append(Stage.of(second.model, upsampler._checkpoint, word=word))
            region = Region.around(open_picture(image), open_mask(mask), smallest=stages[-1].size)
            found = redrawn(
                loaded,
                stages,
                region,
                caption,
                count=count,
                label=loaded.checked_label(_label(label)),
            )
        return [Image.fromarray(pixels) for pixels in found]

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
        self._check_able("reconstruct images", lambda can: can.reconstruct)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(0)
            parts = [loaded.reconstruct(batch) for batch in self._batches(images, captions)]
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
        self._check_able("give likelihoods", lambda can: can.likelihood is not None)
        with undisturbed(verbose=self._verbose):
            loaded = self._loaded(seed)
            parts = [loaded.log_prob(batch) for batch in self._batches(images, captions)]
            exact = self.capabilities.likelihood == "exact"
        return LogProb(torch.cat(parts), exact, loaded.shape)

    def _batches(self, images: Pictures, captions: str | Sequence[str]) -> Iterator[Batch]:
        """Images with captions, `BATCH` at a time."""
        pixels = [open_square(image, self.image_size) for image in each(images)]
        whole(len(pixels), name="images", least=1)
        given = texts(captions, name="captions")
        if isinstance(captions, str):
            given = given * len(pixels)
        if len(given) != len(pixels):
            raise UsageError(
                f"{len(given)} captions came with {len(pixels)} images",
                "give one for all, or one each",
            )
        for start in range(0, len(pixels), BATCH):
            part = slice(start, start + BATCH)
            cond = condition(given[part], self._tokenizer)
            yield Batch(
                image=to_float(torch.stack(pixels[part])),
                caption=cond.caption,
                tokens=cond.tokens,
                token_mask=cond.token_mask,
                label=cond.label,
                index=torch.arange(start, start + len(cond)),
            ).to(self._device)

    def _check_able(self, what: str, able: Callable[[Capabilities], bool]) -> None:
        check_able(self._network, self.name, what, able)

    def _loaded(self, seed: int, *, scorer: Model | None = None, **asked: Any) -> LoadedModel:
        """What samples in one call."""
        if scorer is not None:
            self._check_partner(scorer, name="scorer")
        word = None if scorer is None else scorer.name
        cfg = chosen(self._cfg, seed=seed, scorer=word, **asked)
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
            scorers.build_guidance(cfg, where=self._device)
            if scorer is None
            else scorers.classifier_guidance(scorer._scorer, cfg),
            self._device,
            devices.precision(cfg),
        )

    def _second_stage(
        self, upsampler: Model | None, steps: int | str | None
    ) -> SecondStage | None:
        """The upsampler of a call, if there is one."""
        if upsampler is None:
            return None
        self._check_partner(upsampler, name="upsampler")
        cascade.check_fits(upsampler._network, word=upsampler.name, size=self.image_size)
        if steps is None:
            steps = default("sample", "upsampler_steps")
        network = copy.copy(upsampler._network)
        section = cascade.sampler_section(checked_steps(steps, name="upsampler_steps"))
        network.sampler = build.build_chosen(wrapped(section), None)
        return SecondStage.of(network, upsampler._checkpoint, device=self._device)

    def _check_partner(self, other: object, *, name: str) -> None:
        """Refuse another model of a call that is none, or lies on another device."""
        if not isinstance(other, Model):
            raise UsageError(
                f"{name}= is a {type(other).__name__} and no loaded model",
                f"load it: {name}=genzoo.load(...)",
            )
        if other._device != self._device:
            raise UsageError(
                f"{name}= is on {other._device}, and this model is on {self._device}",
                f"load both on one: genzoo.load(..., device='{self._device}')",
            )

    @cached_property
    def _scorer(self) -> Any:
        """What guides others, if it is a model that scores."""
        return scorers.scorer_of(self._network, self._checkpoint)


def _label(label: object) -> int | None:
    return None if label is None else whole(label, name="label", least=0)


def _count(task: str, count: object) -> int:
    """Images of an interpolation or an edit; None for as many as the command makes."""
    return whole(default(task, "steps") if count is None else count, name="count", least=2)
